"""Where clusters really run: what is ordered there, and what is seen there."""
