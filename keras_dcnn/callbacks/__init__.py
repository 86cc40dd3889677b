"""Callbacks: learning rate (§4), dead units and curves (§7), snapshots and averaging (§8)."""

from keras_dcnn.callbacks.checkpoint_ensemble import CheckpointEnsemble
from keras_dcnn.callbacks.curve_recorder import CurveRecorder
from keras_dcnn.callbacks.dead_units import DeadUnits
from keras_dcnn.callbacks.divide_lr_on_plateau import DivideLROnPlateau
from keras_dcnn.callbacks.gradual_unfreeze import GradualUnfreeze
from keras_dcnn.callbacks.resume_training import ResumeTraining
from keras_dcnn.callbacks.snapshot_schedule import SnapshotSchedule
from keras_dcnn.callbacks.training_diagnosis import TrainingDiagnosis
from keras_dcnn.callbacks.weight_averaging import WeightAveraging

__all__ = [
    "CheckpointEnsemble",
    "CurveRecorder",
    "DeadUnits",
    "DivideLROnPlateau",
    "GradualUnfreeze",
    "ResumeTraining",
    "SnapshotSchedule",
    "TrainingDiagnosis",
    "WeightAveraging",
]
