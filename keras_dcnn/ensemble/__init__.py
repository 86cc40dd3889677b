"""Ensembles (§8)."""

from keras_dcnn.ensemble.ensemble import Ensemble

__all__ = ["Ensemble"]
