"""The shapes of what comes in and goes out, and the only place that knows both them and the domain."""
