"""Judging predictions that are there already: NumPy only, no model."""
