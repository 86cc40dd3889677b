"""What layers reach in Keras's private modules, in both its places, and where it is gone."""

import importlib.util
import types

import keras
import numpy as np
import pytest

from keras_dcnn._keras import layers, variables

pytestmark = pytest.mark.every_backend
OPS = {"numpy": types.SimpleNamespace(add="add"), "core": types.SimpleNamespace(cast="cast")}


@pytest.mark.parametrize(
    "backend",
    [types.SimpleNamespace(**OPS), types.SimpleNamespace(ops=types.SimpleNamespace(**OPS))],
    ids=["3.15", "after it"],
)
def test_operations_of_another_backend(backend):
    ops = layers.TensorFlowOps(backend)
    assert (ops.add, ops.cast) == ("add", "cast")
    with pytest.raises(AttributeError, match="no operation `none`"):
        _ = ops.none


def test_operations_are_those_of_tensorflow():
    tf = pytest.importorskip("tensorflow")
    assert tf.is_tensor(layers.TensorFlowOps().add(tf.constant(1), 2))


def test_without_keras_base_of_layers_for_data(backend, monkeypatch):
    """As if Keras had none: only Grain's pipelines lose by it."""
    monkeypatch.setattr(keras.layers, "Rescaling", keras.layers.Dense)
    spec = importlib.util.spec_from_file_location("layers_anew", layers.__file__)
    anew = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(anew)
    assert anew.PipelineLayer.__mro__[1] is keras.layers.Layer
    seen = []

    class Halved(anew.PipelineLayer):
        def call(self, x):
            seen.append(keras.backend.standardize_dtype(x.dtype))
            return self.ops.cast(x, "float32") / 2.0

    x = np.array([[2, 4]], "uint8")
    outputs = [Halved()(x)]
    if backend == "tensorflow":
        import tensorflow as tf

        outputs += tf.data.Dataset.from_tensors(x).map(Halved())
    for output in outputs:
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(output), [[1, 2]])
    assert set(seen) == {"uint8"}


class Half(keras.regularizers.Regularizer):
    def __call__(self, x):
        return keras.ops.sum(x) / 2


def test_string_ids_where_keras_has_moved_its_table(monkeypatch):
    monkeypatch.delattr("keras.src.regularizers.ALL_OBJECTS_DICT")
    with pytest.warns(UserWarning, match="will not be known by strings; give the objects"):
        assert layers.find_by_string(Half) is Half


def test_shapes_only():
    class Layer(keras.layers.Layer):
        def call(self, x):
            symbolic.append(layers.is_symbolic(x))
            return x

    symbolic = []
    Layer()(np.ones((1, 2)))
    assert not any(symbolic)
    Layer()(keras.Input((2,)))
    assert symbolic[-1]
    assert not layers.is_symbolic(np.ones(2))


def test_draws_of_one_seed_are_told_apart_within_a_model():
    class Layer(keras.layers.Layer):
        def call(self, x):
            salts.append(layers.draw_salt(self, 1))
            return x

    salts, model = [], keras.Sequential([Layer(), Layer()])
    for _ in range(2):
        model(np.ones((1, 2)))
    assert salts[-4:] == ["Layer", "Layer 2", "Layer", "Layer 2"]


def test_assignment_within_a_call_of_mixed_precision():
    class Layer(keras.layers.Layer):
        def build(self, shape):
            self.scale = self.add_weight(shape=(), initializer="ones", trainable=False)

        def call(self, x):
            with variables.full_precision():
                self.scale.assign(3.0)
            return x

    layer = Layer(dtype="mixed_float16")
    layer(np.ones((1, 2), "float32"))
    assert float(layer.scale) == 3.0


def test_a_weight_knows_whether_it_was_measured():
    start = keras.initializers.Constant(variables.UNMEASURED)
    weight = variables.MeasuredWeight(start, (2,), "float32", trainable=False)
    assert not weight.measured
    weight.assign([1.0, variables.UNMEASURED])
    assert not weight.measured
    weight.assign([1.0, 2.0])
    assert weight.measured
