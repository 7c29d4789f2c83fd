"""Ask a Haidang center for compute, from a notebook or the command line."""
