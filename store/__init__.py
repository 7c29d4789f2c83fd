"""The committed state of the center: the only place that begins and ends a transaction."""
