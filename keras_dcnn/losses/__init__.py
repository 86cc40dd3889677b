"""Losses that Keras has not (§9)."""

from keras_dcnn.losses.logit_adjusted_crossentropy import LogitAdjustedCrossentropy

__all__ = ["LogitAdjustedCrossentropy"]
