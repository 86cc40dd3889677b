"""Weight constraints (§6)."""

from keras_dcnn.constraints.max_norm import MaxNorm

__all__ = ["MaxNorm"]
