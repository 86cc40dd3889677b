"""What is wrong with a model, said in sentences, and the learning rate to begin with (§7)."""

from keras_dcnn.diagnosis.diagnose import diagnose
from keras_dcnn.diagnosis.examine import examine
from keras_dcnn.diagnosis.examine_predictions import examine_predictions
from keras_dcnn.diagnosis.find_learning_rate import find_learning_rate
from keras_dcnn.diagnosis.finding import Finding
from keras_dcnn.diagnosis.learning_rate_curve import LearningRateCurve
from keras_dcnn.diagnosis.preflight import preflight

__all__ = [
    "Finding",
    "LearningRateCurve",
    "diagnose",
    "examine",
    "examine_predictions",
    "find_learning_rate",
    "preflight",
]
