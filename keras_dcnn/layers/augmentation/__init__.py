"""Augmentation (§1): layers that see images in training only."""
