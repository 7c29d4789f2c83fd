"""The center's HTTP interface."""
