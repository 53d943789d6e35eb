"""One small module per surface: its requests in, its answers out."""
