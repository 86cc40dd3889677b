"""Data for the demo, the tests and the notebooks: embedded, or a folder of one's own."""

from keras_dcnn.datasets import image_folder, photo_digits

__all__ = ["image_folder", "photo_digits"]
