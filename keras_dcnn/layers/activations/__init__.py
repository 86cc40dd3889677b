"""Activations (§5)."""
