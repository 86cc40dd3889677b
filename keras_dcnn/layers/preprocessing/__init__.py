"""Pre-processing layers (§2); public in `keras_dcnn.layers`."""
