"""Weight penalties (§6), new and on models that exist. L1 and plain L2 are Keras's own."""

from keras_dcnn.regularizers.elastic_net import ElasticNet
from keras_dcnn.regularizers.regularize import regularize
from keras_dcnn.regularizers.weight_decay import WeightDecay

__all__ = ["ElasticNet", "WeightDecay", "regularize"]
