"""Embedded data for the demo, the tests and the notebooks."""

from keras_dcnn.datasets import photo_digits

__all__ = ["photo_digits"]
