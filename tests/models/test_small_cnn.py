"""small_cnn: the layers that the docstring says."""

import keras
import numpy as np
import pytest

from keras_dcnn.layers import RandomHSV, RReLU
from keras_dcnn.models import small_cnn


def test_layers():
    model = small_cnn((32, 32, 3), 10)
    assert model.output_shape == (None, 10)
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert [layer.filters for layer in convolutions] == [24, 24, 48, 48, 96]
    pools = [layer for layer in model.layers if isinstance(layer, keras.layers.MaxPooling2D)]
    assert len(pools) == 2
    assert 75_000 < model.count_params() < 85_000


def test_parts_go_where_they_belong():
    model = small_cnn((16, 16, 3), 2, 4, RReLU, augmentation=[RandomHSV()])
    names = [type(layer).__name__ for layer in model.layers]
    assert names[:2] == ["RandomHSV", "Rescaling"]
    assert names.count("RReLU") == 5
    assert "Activation" not in names


@pytest.mark.parametrize("activation", ["relu", keras.activations.relu, keras.layers.ReLU])
def test_activation_by_name_function_or_layer(activation):
    model = small_cnn((16, 16, 3), 2, 4, activation)
    x = keras.ops.convert_to_tensor([[-1.0, 2.0]])
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(model.layers[2](x)), [[0, 2]])


def test_bad_arguments():
    with pytest.raises(ValueError, match="`num_classes` must be a whole number of at least 2"):
        small_cnn((8, 8, 3), 1)
    with pytest.raises(TypeError, match=r"must be a list of layers; got Rescaling: give \[layer\]"):
        small_cnn((8, 8, 3), 2, augmentation=keras.layers.Rescaling(2.0))
    with pytest.raises(ValueError, match="`width` must be"):
        small_cnn((8, 8, 3), 2, width=0)
