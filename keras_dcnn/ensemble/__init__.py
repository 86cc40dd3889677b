"""Ensembles (§8)."""

from keras_dcnn.ensemble.average_checkpoints import average_checkpoints
from keras_dcnn.ensemble.averaging_trace import AveragingTrace
from keras_dcnn.ensemble.calibration import Calibration, calibration
from keras_dcnn.ensemble.compare_ensembles import compare_ensembles
from keras_dcnn.ensemble.cross_validation_ensemble import CrossValidationEnsemble
from keras_dcnn.ensemble.early_fusion import EarlyFusion
from keras_dcnn.ensemble.ensemble import Ensemble
from keras_dcnn.ensemble.ensemble_comparison import EnsembleComparison
from keras_dcnn.ensemble.ensemble_on_disk import EnsembleOnDisk
from keras_dcnn.ensemble.late_fusion import LateFusion
from keras_dcnn.ensemble.recalibrate_batch_norm import recalibrate_batch_norm
from keras_dcnn.ensemble.select_members import select_members
from keras_dcnn.ensemble.selection import Selection
from keras_dcnn.ensemble.soup import soup
from keras_dcnn.ensemble.spread import Spread
from keras_dcnn.ensemble.stacked_ensemble import StackedEnsemble
from keras_dcnn.ensemble.train_from_seeds import train_from_seeds

__all__ = [
    "AveragingTrace",
    "Calibration",
    "CrossValidationEnsemble",
    "EarlyFusion",
    "Ensemble",
    "EnsembleComparison",
    "EnsembleOnDisk",
    "LateFusion",
    "Selection",
    "Spread",
    "StackedEnsemble",
    "average_checkpoints",
    "calibration",
    "compare_ensembles",
    "recalibrate_batch_norm",
    "select_members",
    "soup",
    "train_from_seeds",
]
