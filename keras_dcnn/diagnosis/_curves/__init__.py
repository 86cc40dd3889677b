"""Reading the curves of a training: rules of `diagnose`. NumPy only, no model."""
