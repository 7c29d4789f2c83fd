"""Virtual time: the real loops of a center, run on logs of real and made-up work as fast as they can be computed."""
