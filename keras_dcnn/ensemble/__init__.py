"""Ensembles (§8)."""

from keras_dcnn.ensemble.averaging.average_checkpoints import average_checkpoints
from keras_dcnn.ensemble.averaging.averaging_trace import AveragingTrace
from keras_dcnn.ensemble.averaging.recalibrate_batch_norm import recalibrate_batch_norm
from keras_dcnn.ensemble.averaging.soup import soup
from keras_dcnn.ensemble.combining.ensemble import Ensemble
from keras_dcnn.ensemble.combining.ensemble_on_disk import EnsembleOnDisk
from keras_dcnn.ensemble.compare_ensembles import compare_ensembles
from keras_dcnn.ensemble.ensemble_comparison import EnsembleComparison
from keras_dcnn.ensemble.fusing.early_fusion import EarlyFusion
from keras_dcnn.ensemble.fusing.late_fusion import LateFusion
from keras_dcnn.ensemble.fusing.stacked_ensemble import StackedEnsemble
from keras_dcnn.ensemble.judging.calibration import Calibration, calibration
from keras_dcnn.ensemble.judging.select_members import select_members
from keras_dcnn.ensemble.judging.selection import Selection
from keras_dcnn.ensemble.judging.spread import Spread
from keras_dcnn.ensemble.training.cross_validation_ensemble import CrossValidationEnsemble
from keras_dcnn.ensemble.training.train_from_seeds import train_from_seeds

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
