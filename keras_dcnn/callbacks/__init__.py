"""Callbacks: learning rate (§4) and checkpoint ensembles (§8)."""

from keras_dcnn.callbacks.checkpoint_ensemble import CheckpointEnsemble
from keras_dcnn.callbacks.divide_lr_on_plateau import DivideLROnPlateau

__all__ = ["CheckpointEnsemble", "DivideLROnPlateau"]
