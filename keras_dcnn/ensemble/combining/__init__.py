"""Members that answer as one, in memory or on disk."""
