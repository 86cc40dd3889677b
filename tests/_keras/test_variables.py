import keras
import numpy as np
import pytest

from keras_dcnn._keras.variables import tensors_of

pytestmark = pytest.mark.every_backend


def test_values_for_compiled_functions_are_tensors_and_no_keras_variables():
    """TensorFlow would take a `keras.Variable` through NumPy in each call."""
    variables = [keras.Variable([1.0, 2.0]), keras.Variable(3, dtype="int32", trainable=False)]
    tensors = tensors_of(variables)
    assert not any(isinstance(one, keras.Variable) for one in tensors)
    assert all(keras.ops.is_tensor(one) for one in tensors)
    values = [keras.ops.convert_to_numpy(one) for one in tensors]
    assert [one.dtype.name for one in values] == ["float32", "int32"]
    np.testing.assert_array_equal(values[0], [1, 2])
    assert values[1] == 3
