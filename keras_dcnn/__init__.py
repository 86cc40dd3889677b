"""keras_dcnn: the parts of a famous tutorial on training deep convolutional networks, for Keras 3.

| section of the tutorial | where |
|---|---|
| §1 augmentation, §2 pre-processing, §5 activations | `keras_dcnn.layers` |
| §3 initialisation | `keras_dcnn.initializers` |
| §4 training | `keras_dcnn.callbacks`, `keras_dcnn.diagnosis` |
| §4 fine-tuning | `keras_dcnn.fine_tuning` |
| §6 regularisation | `keras_dcnn.constraints`, `keras_dcnn.regularizers` |
| §7 figures | `keras_dcnn.callbacks`, `keras_dcnn.diagnosis`, `keras_dcnn.visualization` |
| §8 ensembles | `keras_dcnn.ensemble`, `keras_dcnn.callbacks` |
| §9 class imbalance | `keras_dcnn.imbalance`, `keras_dcnn.losses` |
| what `adapt` measures | `keras_dcnn.statistics` |
| the whole as one job on your images | `keras_dcnn.recipes` |
| for demos and experiments | `keras_dcnn.models`, `keras_dcnn.datasets` |

Importing the package registers every part with Keras, so that saved models load by name.
"""

import os

if os.environ.get("TF_USE_LEGACY_KERAS") in ("1", "true", "True"):
    raise ImportError(
        "keras_dcnn needs Keras 3, but TF_USE_LEGACY_KERAS makes tf.keras Keras 2: unset "
        "TF_USE_LEGACY_KERAS before Python starts."
    )

from keras_dcnn import (
    callbacks,
    constraints,
    datasets,
    diagnosis,
    ensemble,
    fine_tuning,
    imbalance,
    initializers,
    layers,
    losses,
    models,
    recipes,
    regularizers,
    statistics,
    visualization,
)
from keras_dcnn._version import __version__

__all__ = [
    "__version__",
    "callbacks",
    "constraints",
    "datasets",
    "diagnosis",
    "ensemble",
    "fine_tuning",
    "imbalance",
    "initializers",
    "layers",
    "losses",
    "models",
    "recipes",
    "regularizers",
    "statistics",
    "visualization",
]
