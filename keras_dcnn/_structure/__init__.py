"""The structure of a Keras model: layers, kernels, BatchNorm, copies, and what `where` means."""
