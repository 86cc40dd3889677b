"""Fine-tuning of pretrained networks (§4): what to train, from where, at which rates.

Only what starts from a network that was trained on other data lives here. Each part says what it
does to the network: measure it, read its features, or train it.
"""

from keras_dcnn.fine_tuning.fine_tune import fine_tune
from keras_dcnn.fine_tuning.fine_tuned import FineTuned
from keras_dcnn.fine_tuning.layerwise_optimizer import layerwise_optimizer
from keras_dcnn.fine_tuning.linear_probe import linear_probe
from keras_dcnn.fine_tuning.measure_similarity import measure_similarity
from keras_dcnn.fine_tuning.probe import Probe
from keras_dcnn.fine_tuning.recommend import recommend
from keras_dcnn.fine_tuning.recommendation import Recommendation
from keras_dcnn.fine_tuning.similarity import Similarity

__all__ = [
    "FineTuned",
    "Probe",
    "Recommendation",
    "Similarity",
    "fine_tune",
    "layerwise_optimizer",
    "linear_probe",
    "measure_similarity",
    "recommend",
]
