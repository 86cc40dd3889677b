"""The whole tutorial as one job on your images, and what it leaves.

`train_classifier` is the job, its steps are in `_job`; `ImageClassifier` is what is saved.
"""

from keras_dcnn.recipes.image_classifier import ImageClassifier
from keras_dcnn.recipes.load_run import load_run
from keras_dcnn.recipes.prediction import Prediction
from keras_dcnn.recipes.run import Run
from keras_dcnn.recipes.train_classifier import train_classifier

__all__ = ["ImageClassifier", "Prediction", "Run", "load_run", "train_classifier"]
