"""DeadUnits: the share of ReLU units that never fire, by the definition, in every kind of model."""

import keras
import numpy as np
import pytest
import trainings

from keras_dcnn._files.states import pack, unpack
from keras_dcnn.callbacks import DeadUnits

X = trainings.X
SMALL = keras.initializers.RandomNormal(stddev=1e-3, seed=0)


def bias(units, dead):
    """An initializer with which so many of the units never fire, and the others always do."""
    return lambda shape, dtype=None: keras.ops.convert_to_tensor(
        np.where(np.arange(units) < dead, -50, 50).astype("float32")
    )


def conv(units, dead, **more):
    arguments = {"activation": "relu", "kernel_initializer": SMALL, **more}
    return keras.layers.Conv2D(units, 3, bias_initializer=bias(units, dead), **arguments)


def dense(units, dead, **more):
    arguments = {"activation": "relu", "kernel_initializer": SMALL, **more}
    return keras.layers.Dense(units, bias_initializer=bias(units, dead), **arguments)


def look(model, callbacks, epochs=1):
    """The history of a training in which nothing is learnt."""
    return trainings.rehearse(model, callbacks, [0] * epochs)


def train(model, callbacks, rate=0.0, epochs=3):
    model.compile(keras.optimizers.SGD(rate), "mse", jit_compile=trainings.jit())
    return model.fit(X, np.zeros(48), epochs=epochs, callbacks=callbacks, verbose=0).history


def sequential(*layers, shape=X.shape[1:]):
    head = [keras.layers.Flatten(), keras.layers.Dense(1)]
    return keras.Sequential([keras.Input(shape), *layers, *head])


def numpy_dead(outputs, threshold=0.0):
    """From the definition, of outputs whose last axis is the units."""
    return float(np.mean([unit.max() <= threshold for unit in np.moveaxis(outputs, -1, 0)]))


def test_shares_are_those_of_numpy():
    keras.utils.set_random_seed(3)
    x = inputs = keras.Input((6, 6, 3))
    outputs = []
    for layer in (
        keras.layers.Conv2D(8, 3, activation="relu"),
        keras.layers.Conv2D(16, 3),
        keras.layers.ReLU(max_value=2.0),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(32),
        keras.layers.Activation("relu6"),
        keras.layers.Dense(64, activation="relu"),
    ):
        x = layer(x)
        outputs += [] if getattr(layer, "activation", 0) is keras.activations.linear else [x]
    outputs = [outputs[i] for i in (0, 1, 3, 4)]
    model = keras.Model(inputs, keras.layers.Dense(1)(x))
    callbacks = [DeadUnits(X[:5], threshold, verbose=0) for threshold in (0.4, 0.0)]
    history = look(model, callbacks)
    values = keras.Model(inputs, outputs).predict(X[:5], verbose=0)
    for callback in callbacks:
        expected = [numpy_dead(value, callback.threshold) for value in values]
        assert any(0 < share < 1 for share in expected)
        np.testing.assert_allclose(list(callback.dead_unit_fractions.values()), expected)
    total = np.average(expected, weights=[value.shape[-1] for value in values])
    np.testing.assert_allclose(history["dead_fraction"], [total])


class Late(keras.layers.Layer):
    def build(self, shape):
        self.dense = dense(4, 3)
        self.dense.build(shape)

    def call(self, x):
        return self.dense(x)


class Subclassed(keras.Model):
    """Blocks in a list, one of them a model; a layer made when built; one that is never called."""

    def __init__(self):
        super().__init__()
        self.flatten = keras.layers.Flatten()
        self.late = Late()
        self.blocks = [dense(4, 1), keras.Sequential([dense(8, 2), keras.layers.Dropout(0.5)])]
        self.head = keras.layers.Dense(1)
        self.unused = dense(4, 4, trainable=False)
        self.unused.build((None, 4))

    def call(self, x):
        x = self.flatten(x)
        for block in self.blocks:
            x = block(x)
        return self.head(self.late(x))


def shared():
    """A layer whose first two units fire at one call, the last two at the other."""
    layer = keras.layers.Dense(
        4,
        activation="relu",
        kernel_initializer=lambda shape, dtype=None: keras.ops.convert_to_tensor(
            np.array([[1, 1, -1, -0.5]], "float32")
        ),
    )
    x = keras.Input((1,))
    joined = keras.layers.concatenate([layer(x), layer(keras.layers.Rescaling(-1)(x))])
    return keras.Model(x, keras.layers.Dense(1)(joined))


def nested():
    inner = keras.Sequential([keras.Input((4, 4, 4)), dense(4, 3, name="c"), keras.layers.ReLU()])
    model = keras.Sequential([keras.Input((4, 4, 4)), inner, dense(4, 1, name="c")])
    return sequential(conv(4, 0, name="c"), model)


def in_time(layer):
    return sequential(keras.layers.TimeDistributed(layer))


POSITIVE = np.abs(X[:, 0, 0, :1]) + 1
MODELS = {
    "sequential": (lambda: sequential(conv(4, 1), conv(8, 6)), X, [(4, 1), (8, 6)]),
    "separate": (lambda: sequential(conv(4, 1, activation=None), keras.layers.ReLU()), X, [(4, 1)]),
    "relu6": (lambda: sequential(conv(4, 1, activation="relu6")), X, [(4, 1)]),
    "depthwise": (
        lambda: sequential(
            keras.layers.DepthwiseConv2D(3, activation="relu", bias_initializer=bias(3, 2))
        ),
        X,
        [(3, 2)],
    ),
    "dense on images": (lambda: sequential(dense(8, 3)), X, [(8, 3)]),
    "nested": (nested, X, [(4, 0), (4, 3), (4, 3), (4, 1)]),
    "subclassed": (Subclassed, X, [(4, 1), (8, 2), (4, 3)]),
    "shared": (shared, POSITIVE, [(4, 0)]),
    "in time": (lambda: in_time(dense(4, 1)), X, [(4, 1)]),
    "nested in time": (
        lambda: in_time(keras.Sequential([dense(4, 1), keras.layers.ReLU()])),
        X,
        [(4, 1), (4, 1)],
    ),
    "recurrent": (
        lambda: sequential(
            keras.layers.SimpleRNN(
                4, activation="relu", bias_initializer=bias(4, 2), recurrent_initializer="zeros"
            ),
            shape=(18, 6),
        ),
        X.reshape(48, 18, 6),
        [(4, 2)],
    ),
    "layer as activation": (
        lambda: sequential(dense(4, 1, activation=keras.layers.ReLU())),
        X,
        [(4, 1)],
    ),
    "half precision": (
        lambda: sequential(conv(4, 1, dtype="mixed_float16"), dense(8, 2, dtype="mixed_bfloat16")),
        X,
        [(4, 1), (8, 2)],
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_finds_the_layers_of(name):
    make, x, expected = MODELS[name]
    callback = DeadUnits(x, verbose=0)
    history = look(make(), [callback])
    shares = [dead / units for units, dead in expected]
    np.testing.assert_allclose(list(callback.dead_unit_fractions.values()), shares)
    units, dead = np.sum(expected, axis=0)
    np.testing.assert_allclose(history["dead_fraction"], [dead / units])


def test_layers_of_the_same_name_are_told_apart():
    callback = DeadUnits(X, verbose=0)
    model = nested()
    look(model, [callback])
    names = list(callback.dead_unit_fractions)
    assert len(names) == 4
    assert names[0] == "c"


def test_mixed_float16():
    with_policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        callback = DeadUnits(X, verbose=0)
        look(sequential(conv(4, 1), dense(8, 2), keras.layers.ReLU()), [callback])
    finally:
        keras.config.set_dtype_policy(with_policy)
    assert list(callback.dead_unit_fractions.values()) == [0.25, 0.25, 0.25]


def only_the_ninth_is_low(shape, dtype=None):
    """Of the gates' biases that of the first unit's new values."""
    return keras.ops.convert_to_tensor(np.where(np.arange(16) == 8, -50, 50).astype("float32"))


@pytest.mark.parametrize("recurrent", [False, True])
def test_channels_first(recurrent, backend):
    if backend == "tensorflow":
        pytest.skip("TensorFlow has no such convolutions on a CPU")
    keras.config.set_image_data_format("channels_first")
    try:
        layers = [conv(4, 1), conv(8, 2, activation=None), keras.layers.ReLU()]
        x, expected = X.transpose(0, 3, 1, 2), [1 / 4, 2 / 8]
        if recurrent:
            layers = [
                keras.layers.ConvLSTM2D(
                    4,
                    3,
                    activation="relu",
                    unit_forget_bias=False,
                    bias_initializer=only_the_ninth_is_low,
                    return_sequences=True,
                )
            ]
            x, expected = X.reshape(48, 2, 3, 6, 3)[:8], [1 / 4]
        callback = DeadUnits(x, verbose=0)
        look(sequential(*layers, shape=x.shape[1:]), [callback])
    finally:
        keras.config.set_image_data_format("channels_last")
    np.testing.assert_allclose(list(callback.dead_unit_fractions.values()), expected)


def test_units_of_separate_activations_are_where_keras_has_the_channels():
    x = np.where(np.arange(3) < 1, -1, 1).astype("float32") * np.ones((4, 6, 6, 3), "float32")
    keras.config.set_image_data_format("channels_first")
    try:
        callback = DeadUnits(x.transpose(0, 3, 1, 2), verbose=0)
        look(
            sequential(keras.layers.Activation("relu"), shape=(3, 6, 6)),
            [callback],
        )
    finally:
        keras.config.set_image_data_format("channels_last")
    assert list(callback.dead_unit_fractions.values()) == [1 / 3]


class Vectorized(keras.layers.Layer):
    """Calls one layer as it is, and one inside a transformation of the backend."""

    def __init__(self):
        super().__init__()
        self.seen, self.hidden = dense(4, 1), dense(4, 4)

    def call(self, x):
        x = self.seen(x)
        return keras.ops.vectorized_map(self.hidden, keras.ops.expand_dims(x, 1))

    def build(self, shape):
        self.seen.build(shape)
        self.hidden.build((None, 4))


def test_layers_inside_transformations_are_left_out():
    callback = DeadUnits(X, verbose=0)
    look(sequential(keras.layers.Flatten(), Vectorized()), [callback])
    assert list(callback.dead_unit_fractions.values()) == [0.25]


def test_remat():
    with keras.RematScope(mode="full"):
        hidden = conv(4, 1)
    callback = DeadUnits(X, verbose=0)
    look(sequential(hidden, conv(4, 2)), [callback])
    assert list(callback.dead_unit_fractions.values())[-1] == 0.5


def test_a_unit_that_fires_for_one_sample_only_is_alive():
    x = -np.ones((400, 1), "float32")
    x[0] = 1
    model = keras.Sequential([keras.Input((1,)), keras.layers.ReLU(), keras.layers.Dense(1)])
    assert look(model, [DeadUnits(x, num_samples=400)])["dead_fraction"] == [0.0]
    x = np.roll(x, 1, axis=0)  # not among the 200 that are taken
    callback = DeadUnits(x, num_samples=200, verbose=0)
    assert look(model, [callback])["dead_fraction"] == [1.0]
    assert len(callback._inputs) == 200


@pytest.mark.parametrize("rate", [1e-4, 1e4])
def test_a_high_rate_kills(rate, capsys):
    keras.utils.set_random_seed(3)
    model = sequential(keras.layers.Conv2D(8, 3, activation="relu"))
    history = train(model, [trainings.Aloud(), DeadUnits(X)], rate)
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    assert (history["dead_fraction"][-1] > 0.4) == (rate > 1) == (len(lines) == 1)
    if lines:
        assert "% of the ReLU units never fire, of " in lines[0]
        assert "lower the learning rate" in lines[0]


def test_the_line_names_the_worst_layer_and_comes_once_a_run(capsys):
    model = sequential(conv(4, 2, name="mild"), conv(4, 3, name="worst"))
    callback = DeadUnits(X)
    look(model, [callback], epochs=2)
    look(model, [callback], epochs=2)
    line = "Epoch 1: 62% of the ReLU units never fire, of worst 75%: lower"
    (printed,) = capsys.readouterr().out.strip().splitlines()
    assert printed.startswith(line)
    look(sequential(conv(4, 1)), [DeadUnits(X)], epochs=2)
    look(model, [DeadUnits(X, verbose=0)])
    assert not capsys.readouterr().out


def test_units_of_weights_that_are_nan_are_put_down_to_that(capsys):
    """Regression: it said to take leaky rectifiers."""
    model = sequential(conv(4, 0))
    model.set_weights([weight * np.nan for weight in model.get_weights()])
    look(model, [DeadUnits(X)])
    assert "as weights are NaN or infinite: lower the learning rate, or" in capsys.readouterr().out


def killer(model, dead):
    """A callback that kills so many of the first layer's four units at the ends of epochs."""
    return keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: model.layers[0].bias.assign(bias(4, dead[epoch])((4,)))
    )


def test_looks_at_every_so_many_epochs_and_leaves_no_holes():
    model = sequential(conv(4, 0))
    callbacks = [killer(model, [0, 1, 2, 3, 4]), DeadUnits(X, every=2, verbose=0)]
    history = look(model, callbacks, epochs=5)
    assert history["dead_fraction"] == [0, 0.25, 0.25, 0.75, 0.75]


def test_early_stopping_can_watch_it():
    model = sequential(conv(4, 0))
    stop = keras.callbacks.EarlyStopping(
        monitor="dead_fraction", mode="min", patience=2, restore_best_weights=True
    )
    history = look(model, [killer(model, [2, 1, 2, 2]), DeadUnits(X, verbose=0), stop], epochs=6)
    assert history["dead_fraction"] == [0.5, 0.25, 0.5, 0.5]
    assert (keras.ops.convert_to_numpy(model.layers[0].bias) < 0).sum() == 1


def test_nothing_changes():
    def model():
        keras.utils.set_random_seed(7)
        return sequential(
            keras.layers.Conv2D(4, 3, activation="relu", activity_regularizer="l2"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5, seed=1),
        )

    plain = model()
    expected = train(plain, [], rate=0.1)
    watched = model()
    history = train(watched, [DeadUnits(X[:40])], rate=0.1)
    assert history.pop("dead_fraction")
    assert history == expected
    assert trainings.same(watched.get_weights(), plain.get_weights())
    watched(X[:2])
    assert np.isfinite(keras.ops.convert_to_numpy(watched.losses[0]))


def test_more_looks_trace_no_more(backend):
    if backend == "torch":
        pytest.skip("PyTorch traces nothing")
    calls = []

    class Count(keras.layers.Layer):
        def call(self, x):
            calls.append(1)
            return x

    def count(epochs):
        model = sequential(Count(), conv(4, 1))
        calls.clear()
        look(model, [DeadUnits(X[:40], verbose=0)], epochs)
        return len(calls)

    assert count(epochs=1) == count(epochs=4) > 0


@pytest.mark.parametrize("kind", ["tf.data", "generator", "dict", "tuple", "list"])
def test_data(kind):
    def batches():
        yield X, 0
        raise AssertionError("one batch is enough")

    tf = pytest.importorskip("tensorflow") if kind == "tf.data" else None
    data = {
        "tf.data": lambda: tf.data.Dataset.from_tensor_slices((X, X)).batch(40),
        "generator": batches,
        "dict": lambda: {"a": X, "b": X},
        "tuple": lambda: (X, X[:, 0, 0, 0]),
        "list": lambda: [X, X],
    }[kind]()
    model = sequential(conv(4, 1))
    if kind in ("dict", "list"):
        a, b = (keras.Input((6, 6, 3), name=name) for name in "ab")
        out = keras.layers.GlobalAveragePooling2D()(conv(4, 1)(keras.layers.add([a, b])))
        model = keras.Model({"a": a, "b": b} if kind == "dict" else [a, b], out)
    callback = DeadUnits(data, verbose=0)
    for _ in range(2):
        look(model, [callback])
    assert list(callback.dead_unit_fractions.values()) == [0.25]


@pytest.mark.parametrize(
    "layers",
    [
        [],
        [keras.layers.LeakyReLU(), keras.layers.PReLU(), keras.layers.ReLU(negative_slope=0.1)],
        [keras.layers.Conv2D(4, 3, activation="tanh")],
    ],
)
def test_a_model_without_such_layers_is_refused_before_training(layers):
    batches = []
    watch = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda b, logs: batches.append(b))
    layers = [type(layer).from_config(layer.get_config()) for layer in layers]
    with pytest.raises(ValueError, match=r'must call a layer with activation="relu".*calls none'):
        look(sequential(*layers), [DeadUnits(X), watch])
    assert not batches


def test_state_goes_on_in_another_callback():
    first = DeadUnits(X, every=2)
    model = sequential(conv(4, 3))
    look(model, [first])
    second = DeadUnits(X, every=2)
    second.set_state(unpack(*pack(first.get_state())))
    assert second.dead_unit_fractions == first.dead_unit_fractions == {model.layers[0].name: 0.75}
    model.layers[0].bias.assign(bias(4, 0)((4,)))
    assert look(model, [second], epochs=2)["dead_fraction"] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"threshold": -1}, ValueError, "`threshold` must be a finite number of at least 0"),
        ({"every": 0}, ValueError, "`every` must be a whole number of at least 1; got 0"),
        ({"num_samples": 0}, ValueError, "`num_samples` must be a whole number of at least 1"),
        ({"data": 3}, TypeError, "must be an array or an iterable of batches; got int"),
        ({"data": X[:0]}, ValueError, "must hold at least one sample"),
        ({"data": X * np.nan}, ValueError, "must be finite; got NaN"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        look(sequential(conv(4, 1)), [DeadUnits(**{"data": X, **arguments})])
