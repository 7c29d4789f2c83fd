"""Every use case and every loop step, and the ports they need."""
