"""Data that draw each epoch anew and say by `epoch`, a whole number that may be set, which it is.

Such are the data sets of `imbalance`, and any PyDataset with that attribute. A training that is
resumed sets it; and where samples are held out, those that were drawn again and again count once.
"""

import keras

from keras_dcnn._checks import is_whole


def draws_epochs(data):
    """Whether `data` are of this kind."""
    return isinstance(data, keras.utils.PyDataset) and is_whole(getattr(data, "epoch", None))
