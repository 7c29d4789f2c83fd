"""What of the center runs inside a Python environment, beside its users' code."""
