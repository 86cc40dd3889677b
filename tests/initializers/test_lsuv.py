"""lsuv: linear outputs of variance 1, orthonormal kernels on the right axes, no other change."""

import math
import random
from typing import ClassVar

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trainings import jit

from keras_dcnn.initializers import lsuv
from keras_dcnn.initializers._orthonormal import orthonormal

layers = keras.layers
IMAGES = np.random.default_rng(0).normal(2, 3, size=(16, 8, 8, 3)).astype("float32")
VECTORS = np.random.default_rng(1).normal(1, 5, size=(32, 6)).astype("float32")


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor).astype("float64")


def quietly(model, data, **arguments):
    return lsuv(model, data, verbose=0, **arguments)


def by_layer(rows):
    """The rows by the name of the layer; of a separable one that of the pointwise kernel."""
    return {row.layer.split()[0].rpartition("/")[-1]: row for row in rows}


def linear_outputs(model, inputs):
    """Outputs of the convolutions and dense layers of a model, by copies made linear by hand."""
    treated = [
        layer
        for layer in model.layers
        if hasattr(layer, "kernel") or hasattr(layer, "pointwise_kernel")
    ]
    found = {}
    all_inputs = keras.Model(model.inputs[0], [layer.input for layer in treated])(inputs)
    for layer, x in zip(treated, all_inputs, strict=True):
        config = layer.get_config() | {"activation": None, "use_bias": False}
        copy = type(layer).from_config(config)
        copy.build(x.shape)
        copy.set_weights([w for w in layer.get_weights() if w.ndim > 1])
        found[layer.name] = numpy(copy(x))
    return found


def plain(*stack, shape=IMAGES.shape[1:]):
    return keras.Sequential([keras.Input(shape), *stack])


def residual(blocks=2):
    inputs = keras.Input(IMAGES.shape[1:])
    x = layers.Conv2D(8, 3, padding="same", activation="relu", bias_initializer="ones")(inputs)
    for _ in range(blocks):
        y = layers.Conv2D(8, 3, padding="same", use_bias=False)(x)
        y = layers.BatchNormalization()(y)
        y = keras.ops.relu(y)
        y = layers.Conv2D(8, 3, padding="same")(y)
        x = layers.ReLU()(layers.Add()([x, layers.BatchNormalization()(y)]))
    x = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(10, "softmax")(x))


def every_kind():
    return plain(
        layers.Conv2D(8, 3, activation="relu"),
        layers.Conv2D(8, 3, padding="same", groups=4, activation="tanh"),
        layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, activation="relu"),
        layers.SeparableConv2D(6, 3, padding="same", depth_multiplier=2, activation="relu"),
        layers.Conv2DTranspose(5, 3, strides=2, activation="elu"),
        layers.Flatten(),
        layers.Dense(7, "sigmoid"),
    )


@pytest.mark.parametrize("make", [residual, every_kind])
def test_every_linear_output_has_variance_1(make):
    model = make()
    before = linear_outputs(model, IMAGES)
    rows = by_layer(quietly(model, IMAGES))
    after = linear_outputs(model, IMAGES)
    assert list(rows) == list(after)  # in the order of computation
    for name, row in rows.items():
        assert abs(after[name].var() - 1) < 0.1
        assert row.after == pytest.approx(after[name].var(), rel=1e-3)
        assert row.before == pytest.approx(before[name].var(), rel=1e-3)


def test_depthwise_part_of_a_separable_layer():
    model = plain(layers.SeparableConv2D(6, 3, 2, depth_multiplier=2, activation="relu"))
    depthwise, pointwise = quietly(model, IMAGES, seed=0)
    assert depthwise.layer.endswith("depthwise_kernel")
    assert pointwise.layer.endswith("pointwise_kernel")
    part = layers.DepthwiseConv2D(3, 2, depth_multiplier=2, use_bias=False)
    part.build(IMAGES.shape)
    part.set_weights(model.layers[0].get_weights()[:1])
    assert numpy(part(IMAGES)).var() == pytest.approx(depthwise.after, rel=1e-3)
    assert abs(depthwise.after - 1) < 0.1


def test_dense_against_numpy():
    model = plain(layers.Dense(5, "relu", bias_initializer="ones"), layers.Dense(4), shape=(6,))
    rows = quietly(model, VECTORS, tolerance=1e-4)
    first, bias, second, _ = (w.astype("float64") for w in model.get_weights())
    outputs = VECTORS @ first
    assert outputs.var() == pytest.approx(1, abs=2e-4)
    assert (np.maximum(outputs + bias, 0) @ second).var() == pytest.approx(1, abs=2e-4)
    assert max(row.iterations for row in rows) <= 3  # more than one for the second batch
    np.testing.assert_array_equal(bias, 1)


def test_30_plain_layers():
    stack = [layers.Conv2D(8, 3, padding="same", activation="relu") for _ in range(30)]
    model = plain(*stack)
    rows = quietly(model, IMAGES)
    assert min(row.before for row in rows) < 1e-3  # Glorot's dies out
    x = IMAGES
    for layer in model.layers:
        w, b = layer.get_weights()
        linear = numpy(keras.ops.conv(x, w, padding="same"))
        assert abs(linear.var() - 1) < 0.1
        x = np.maximum(linear + b, 0).astype("float32")


@settings(deadline=None, max_examples=30)
@given(
    shape=st.lists(st.integers(1, 5), min_size=2, max_size=5),
    data=st.data(),
    seed=st.integers(0, 100),
)
def test_orthonormal_over_any_axes(shape, data, seed):
    roles = data.draw(st.lists(st.sampled_from("igo"), min_size=len(shape), max_size=len(shape)))
    incoming, groups, outgoing = (
        tuple(axis for axis, role in enumerate(roles) if role == which) for which in "igo"
    )
    kernel = orthonormal(np.random.default_rng(seed), tuple(shape), incoming, groups)
    assert kernel.shape == tuple(shape)
    rows = math.prod(shape[axis] for axis in incoming)
    columns = math.prod(shape[axis] for axis in outgoing)
    matrices = kernel.transpose(*groups, *incoming, *outgoing).reshape(-1, rows, columns)
    for w in matrices:
        gram = w.T @ w if rows >= columns else w @ w.T
        np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-12)


def test_orthonormal_has_no_preferred_sign():
    """Without the correction QR's diagonal is negative, and the corner's mean is far from 0."""
    draws = orthonormal(np.random.default_rng(0), (4000, 3, 3), (1,), (0,))
    assert np.abs(draws.mean(axis=0)).max() < 5 / math.sqrt(3 * 4000)  # 5 σ


def is_orthonormal_up_to_scale(w):
    gram = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
    return np.allclose(gram / gram[0, 0], np.eye(len(gram)), atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "matrices"),
    [
        (layers.Conv2D(5, 3), lambda w: [w.reshape(54, 5)]),
        (layers.Conv2D(60, 3), lambda w: [w.reshape(54, 60)]),
        (layers.Conv2D(4, 3, groups=2), lambda w: w.reshape(27, 2, 2).transpose(1, 0, 2)),
        (
            layers.DepthwiseConv2D(3, depth_multiplier=2),
            lambda w: w.reshape(9, 6, 2).transpose(1, 0, 2),
        ),
        (layers.Conv2DTranspose(5, 3), lambda w: [w.transpose(0, 1, 3, 2).reshape(54, 5)]),
        (layers.Dense(4), lambda w: [w]),
        (layers.EinsumDense("abcd,def->abcef", (7, 7, 2, 3)), lambda w: [w.reshape(6, 6)]),
        (layers.EinsumDense("abcd,de->abcde", (7, 7, 6, 2)), lambda w: [w[:1], w[5:]]),
        (layers.EinsumDense("...x,xy->...y", 3), lambda w: [w]),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_kernels_are_orthonormal_on_the_right_axes(layer, matrices):
    images = np.random.default_rng(0).normal(size=(4, 7, 7, 6))
    quietly(plain(layer, shape=(7, 7, 6)), images)
    for w in matrices(numpy(layer.kernel)):
        assert is_orthonormal_up_to_scale(w)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.first = layers.Dense(5, "relu", name="first")
        self.nested = keras.Sequential([layers.Dense(4, "relu", name="inner")])
        self.unused = layers.Dense(3, name="unused")
        self.last = layers.Dense(2, name="last")

    def call(self, x):
        return self.last(self.nested(keras.ops.tanh(self.first(x))))


@pytest.mark.filterwarnings("ignore:.build... was called on layer")  # Keras's, of the unused layer
def test_subclassed_model_not_yet_built():
    model = Subclassed()
    rows = quietly(model, VECTORS)
    assert list(by_layer(rows)) == ["first", "inner", "last", "unused"]
    x = VECTORS
    for layer, activation in (
        (model.first, lambda x: np.tanh(np.maximum(x, 0))),
        (model.nested.layers[0], lambda x: np.maximum(x, 0)),
        (model.last, lambda x: x),
    ):
        x = x @ layer.get_weights()[0]
        assert abs(x.var() - 1) < 0.1
        x = activation(x)
    assert by_layer(rows)["unused"].note == "not called"


def test_nested_functional_models_that_share_layers():
    inputs = keras.Input((6,))
    x = layers.Dense(5, "relu", name="a")(inputs)
    inner = keras.Model(inputs, layers.Dense(4, "relu", name="b")(x))
    features = keras.Model(inputs, x)
    outer = keras.Input((6,))
    model = keras.Model(outer, [layers.Dense(3, name="c")(inner(outer)), features(outer)])
    rows = by_layer(quietly(model, VECTORS))
    assert rows["a"].note == "shared, called 2 times"
    assert rows["b"].note == rows["c"].note == ""
    assert abs(numpy(model(VECTORS)[0]).var() - 1) < 0.1


class Watching(layers.Layer):
    """Notes how many samples come in a pass."""

    seen: ClassVar = []

    def call(self, x):
        self.seen.append(x.shape[0])
        return x


def test_at_most_8_samples_a_pass_and_the_variance_is_that_of_all():
    """Keras's functional models keep all activations, 2.6 GB for 16 images of ResNet50."""
    model = plain(layers.Dense(5, "relu"), Watching(), layers.Dense(4), shape=(6,))
    Watching.seen.clear()
    data = VECTORS * np.linspace(0.1, 4, 32)[:, None]  # parts of which have variances of their own
    rows = quietly(model, data[:31], tolerance=0.01)
    first, bias, second, _ = (w.astype("float64") for w in model.get_weights())
    hidden = data[:31] @ first
    assert max(Watching.seen) == 8
    assert hidden.var() == pytest.approx(rows[0].after, rel=1e-4)
    assert (np.maximum(hidden + bias, 0) @ second).var() == pytest.approx(rows[1].after, rel=1e-4)
    assert max(abs(row.after - 1) for row in rows) < 0.01


@pytest.mark.parametrize("kind", ["list", "dict"])
def test_several_inputs(kind):
    a, b = keras.Input((6,), name="a"), keras.Input((2,), name="b")
    x = layers.Concatenate()([layers.Dense(3, name="one")(a), layers.Dense(3, name="two")(b)])
    model = keras.Model([a, b] if kind == "list" else {"a": a, "b": b}, layers.Dense(2)(x))
    data = [VECTORS, VECTORS[:, :2]]
    data = data if kind == "list" else dict(zip("ab", data, strict=True))
    assert all(abs(row.after - 1) < 0.1 for row in quietly(model, data))


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        return VECTORS[index * 8 : index * 8 + 8], np.zeros(8)


@pytest.mark.parametrize(
    ("data", "used"),
    [
        (VECTORS, VECTORS),
        (np.repeat(VECTORS, 4, axis=0), VECTORS[np.repeat(np.arange(32), 2)]),  # 64 of 128
        ((VECTORS, np.zeros(32)), VECTORS),
        (keras.ops.convert_to_tensor(VECTORS), VECTORS),
        (Batches(workers=1), VECTORS[:8]),
        ((batch for batch in (VECTORS[:4], VECTORS[4:])), VECTORS[:4]),
        (iter([[VECTORS[:4], np.zeros(4)]]), VECTORS[:4]),  # as a DataLoader gives
    ],
    ids=["array", "long array", "with labels", "tensor", "PyDataset", "generator", "DataLoader"],
)
def test_kinds_of_data(data, used):
    model = plain(layers.Dense(3), shape=(6,))
    quietly(model, data, tolerance=1e-4)
    assert (used @ model.get_weights()[0]).var() == pytest.approx(1, abs=2e-4)


def test_skips_with_a_word():
    shared = layers.Dense(6, name="shared")
    frozen = layers.Dense(6, name="frozen", trainable=False)
    adapted = layers.Dense(6, name="adapted")
    dead = layers.Dense(6, "relu", bias_initializer=keras.initializers.Constant(-1e6), name="dead")
    model = plain(
        layers.Dense(6, name="first"),
        shared,
        frozen,
        shared,
        adapted,
        layers.Reshape((2, 3)),
        layers.SimpleRNN(6, name="rnn"),
        dead,
        layers.Dense(6, name="after_dead"),
        shape=(6,),
    )
    adapted.enable_lora(2)
    before = {layer.name: layer.get_weights() for layer in model.layers}
    rows = by_layer(quietly(model, VECTORS))
    assert {name: row.note for name, row in rows.items()} == {
        "first": "",
        "shared": "shared, called 2 times",
        "frozen": "frozen",
        "adapted": "adapted by LoRA",
        "simple_rnn_cell": "unknown kernel of SimpleRNNCell",
        "dead": "",
        "after_dead": "zero or constant output",
    }
    for name in ("shared", "frozen", "adapted", "rnn", "after_dead"):
        for old, new in zip(before[name], model.get_layer(name).get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
    assert rows["after_dead"].after is None


def test_weights_tied_by_hand_are_shared():
    one, other = layers.Dense(6, name="one"), layers.Dense(6, name="other")
    model = plain(layers.Dense(6, name="free"), one, other, shape=(6,))
    vars(other)["_kernel"] = one._kernel
    rows = by_layer(quietly(model, VECTORS))
    assert rows["one"].note == rows["other"].note == "shared, called 2 times"


def test_a_variance_that_cannot_be_reached_is_said():
    class Standardized(layers.Dense):
        def call(self, inputs):
            outputs = super().call(inputs)
            return 3 * outputs / keras.ops.std(outputs)  # whatever the scale of the kernel

    row = quietly(plain(Standardized(4), shape=(6,)), VECTORS[:8], max_iterations=3)[0]
    assert (row.iterations, row.note) == (3, "not within the tolerance")
    assert row.after == pytest.approx(9, rel=1e-3)


class Mapped(layers.Layer):
    """Calls its layer inside a function that the backend traces."""

    def __init__(self):
        super().__init__()
        self.inside = layers.Dense(6, name="inside")

    def build(self, shape):
        self.inside.build(shape)

    def call(self, x):
        return keras.ops.vectorized_map(lambda row: self.inside(row[None])[0], x)


def test_a_layer_in_a_traced_loop_is_skipped():
    model = plain(
        layers.Dense(6, name="before"), Mapped(), layers.Dense(3, name="after"), shape=(6,)
    )
    rows = by_layer(quietly(model, VECTORS))
    assert {name: row.note for name, row in rows.items()} == {
        "before": "",
        "inside": "inside a compiled loop",
        "after": "",
    }
    assert abs(numpy(model(VECTORS)).var() - 1) < 0.1


class Noisy(layers.Layer):
    """Draws at inference too, as Monte Carlo dropout does, and counts its calls."""

    def __init__(self):
        super().__init__()
        self.seed_generator = keras.random.SeedGenerator(7)
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x):
        self.calls.assign_add(1)
        return x + keras.random.normal(keras.ops.shape(x), seed=self.seed_generator)


def test_all_else_stays_as_it_was():
    model = residual(blocks=1)
    model.add_noise = Noisy()
    outputs = model.add_noise(model.layers[-2].output)
    model = keras.Model(model.inputs[0], model.layers[-1](outputs))
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=jit())
    model.fit(IMAGES, np.arange(16) % 10, verbose=0)
    kernels = {v.path for v in model.variables if v.path.endswith("/kernel")}
    kept = [v for v in [*model.variables, *model.optimizer.variables] if v.path not in kernels]
    predicted = model.predict(IMAGES, verbose=0)
    before = [numpy(v) for v in kept]
    states = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    attributes = [dict(vars(layer)) for layer in model.layers]
    quietly(model, IMAGES)
    for variable, old in zip(kept, before, strict=True):
        np.testing.assert_array_equal(numpy(variable), old, err_msg=variable.path)
    assert random.getstate() == states[0]
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
    for layer, old in zip(model.layers, attributes, strict=True):
        assert vars(layer).keys() == old.keys()
        assert "call" not in vars(layer)
    assert not np.allclose(model.predict(IMAGES, verbose=0), predicted)  # compiled, yet new kernels
    model.fit(IMAGES, np.arange(16) % 10, verbose=0)


class Failing(layers.Layer):
    """Fails at its third call: while kernels are being changed, all before it already are."""

    error = RuntimeError
    count = 0

    def call(self, x):
        if isinstance(x, keras.KerasTensor):
            return x
        self.count += 1
        if self.count == 2:
            raise self.error("in the middle")
        return x


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_in_the_middle_leaves_all_as_it_was(error):
    failing = Failing()
    failing.error = error
    stack = [layers.Dense(5, "relu"), layers.BatchNormalization(), failing, layers.Dense(3)]
    model = plain(*stack, shape=(6,))
    failing.count = 0
    before = model.get_weights()
    with pytest.raises(error, match="in the middle"):
        quietly(model, VECTORS)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not any("call" in vars(layer) for layer in model.layers)
    assert model.layers[0].activation is keras.activations.relu
    assert model.layers[0].use_bias
    quietly(model, VECTORS)


def test_one_seed_repeats_and_without_one_the_model_decides():
    def kernel(model_seed, seed):
        keras.utils.set_random_seed(model_seed)
        model = plain(layers.Dense(5), layers.Dense(5), shape=(5,))
        quietly(model, VECTORS[:, :5], seed=seed)
        first, _, second, _ = model.get_weights()
        assert not np.allclose(first / first[0, 0], second / second[0, 0])
        return first

    np.testing.assert_array_equal(kernel(0, 3), kernel(1, 3))
    np.testing.assert_array_equal(kernel(0, None), kernel(0, None))
    assert not np.array_equal(kernel(0, 3), kernel(0, 4))
    assert not np.array_equal(kernel(0, None), kernel(1, None))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    stack = [layers.Dense(16, "relu", dtype=policy) for _ in range(4)]
    model = plain(*stack, shape=(6,))
    rows = quietly(model, VECTORS)
    assert all(abs(row.after - 1) < 0.1 for row in rows)
    assert all(layer.kernel.dtype == "float32" for layer in stack)
    w = numpy(stack[0].kernel)
    assert is_orthonormal_up_to_scale(w)  # not rounded to half precision
    assert (VECTORS @ w).var() == pytest.approx(1, abs=0.1)


def test_one_line_a_table_or_nothing(capsys):
    model = plain(layers.Dense(5, name="a"), layers.Dense(3, name="b", trainable=False), shape=(6,))
    row = lsuv(model, VECTORS)[0]
    (line,) = capsys.readouterr().out.splitlines()
    assert line == (
        f"lsuv: 1 of 2 kernels have outputs of variance {row.after:.3g}; not {model.name}/b "
        "(frozen)."
    )
    lsuv(model, VECTORS, verbose=2)
    printed = capsys.readouterr().out
    assert "variance before" in printed
    assert f"{model.name}/a" in printed
    assert "frozen" in printed
    quietly(model, VECTORS)
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "model", "arguments", "message"),
    [
        (TypeError, layers.Dense(3), {}, "`model` must be a Keras model; got Dense"),
        (ValueError, None, {"tolerance": 0}, "`tolerance` must be a finite number above 0; got 0"),
        (ValueError, None, {"max_iterations": 0}, "`max_iterations` must be a whole number"),
        (ValueError, None, {"seed": -1}, "`seed` must be a whole number of at least 0"),
        (ValueError, None, {"verbose": 3}, "`verbose` must be one of 0, 1, 2; got 3"),
        (TypeError, None, {"data": 3}, "an array or an iterable of batches; got int"),
        (TypeError, None, {"data": "images"}, "an array or an iterable of batches; got str"),
        (
            TypeError,
            None,
            {"data": VECTORS * 1j},
            "lsuv: the data must be real numbers; got complex",
        ),
        (ValueError, None, {"data": VECTORS[:0]}, "must hold at least one sample"),
        (ValueError, None, {"data": iter(())}, "must hold at least one sample; got none"),
        (ValueError, None, {"data": VECTORS * np.nan}, "must be finite; got NaN or infinity"),
        (ValueError, plain(layers.ReLU(), shape=(6,)), {}, "that it can initialise.*ReLU"),
        (ValueError, None, {"data": VECTORS * 0}, r"model has .*zero or constant output"),
        (
            ValueError,
            plain(layers.Dense(3, trainable=False, name="d"), shape=(6,)),
            {},
            r"/d \(frozen\)\.",
        ),
    ],
)
def test_bad_arguments(error, model, arguments, message):
    model = model or plain(layers.Dense(3), shape=(6,))
    with pytest.raises(error, match=message):
        lsuv(model, **{"data": VECTORS, "verbose": 0, **arguments})


@pytest.mark.filterwarnings("ignore")  # Keras's, of quantizing
def test_quantized_and_spectrally_normalized_kernels_are_left_with_a_word():
    stack = [layers.Dense(6, name="int8"), layers.SpectralNormalization(layers.Dense(6, name="sn"))]
    model = plain(*stack, layers.Dense(3, name="last"), shape=(6,))
    model.layers[0].quantize("int8")
    rows = by_layer(quietly(model, VECTORS))
    notes = {name: row.note for name, row in rows.items()}
    assert notes == {"int8": "quantized", "sn": "spectrally normalized", "last": ""}
