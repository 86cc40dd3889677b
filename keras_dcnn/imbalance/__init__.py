"""Classes with few images among others with many (§9): sampling, weights, phases, thresholds.

What draws or weighs samples by their class, or corrects a model for how often classes come, lives
here; losses that do so are in `keras_dcnn.losses`.
"""

from keras_dcnn.imbalance.adjust_logits import adjust_logits
from keras_dcnn.imbalance.balance_dataset import balance_dataset
from keras_dcnn.imbalance.balanced_dataset import BalancedDataset
from keras_dcnn.imbalance.class_weights import class_weights
from keras_dcnn.imbalance.compare_remedies import compare_remedies
from keras_dcnn.imbalance.minority_crops import MinorityCrops
from keras_dcnn.imbalance.remedy_comparison import RemedyComparison
from keras_dcnn.imbalance.train_in_two_phases import train_in_two_phases
from keras_dcnn.imbalance.two_phase_history import TwoPhaseHistory
from keras_dcnn.imbalance.two_phase_training import TwoPhaseTraining
from keras_dcnn.imbalance.weights_of import weights_of

__all__ = [
    "BalancedDataset",
    "MinorityCrops",
    "RemedyComparison",
    "TwoPhaseHistory",
    "TwoPhaseTraining",
    "adjust_logits",
    "balance_dataset",
    "class_weights",
    "compare_remedies",
    "train_in_two_phases",
    "weights_of",
]
