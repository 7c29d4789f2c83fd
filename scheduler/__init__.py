"""Who runs where and when, and why not: pure."""
