"""Ensembles (§8)."""

from keras_dcnn.ensemble.calibration import Calibration, calibration
from keras_dcnn.ensemble.ensemble import Ensemble
from keras_dcnn.ensemble.ensemble_on_disk import EnsembleOnDisk
from keras_dcnn.ensemble.spread import Spread

__all__ = ["Calibration", "Ensemble", "EnsembleOnDisk", "Spread", "calibration"]
