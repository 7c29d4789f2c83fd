"""What leaves the center to be looked at: metrics, read from the committed state."""
