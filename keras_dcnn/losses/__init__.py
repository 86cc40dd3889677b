"""Losses that Keras has not (§9)."""

__all__: list[str] = []
