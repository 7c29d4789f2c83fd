"""The processes of a center: settings, wiring, clock and loops, the only place that chooses adapters."""
