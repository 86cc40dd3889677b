"""regularize: put on a copy whose outputs are the model's, acting, saved, and nowhere else."""

import keras
import numpy as np
import pytest
from trainings import jit

from keras_dcnn.constraints import MaxNorm
from keras_dcnn.layers import PReLU, RReLU
from keras_dcnn.regularizers import ElasticNet, WeightDecay, regularize

L = keras.layers
NETS = {
    "MobileNetV2": lambda: keras.applications.MobileNetV2(
        (32, 32, 3), alpha=0.35, classes=5, weights=None
    ),
    "ResNet50": lambda: keras.applications.ResNet50(
        input_shape=(32, 32, 3), classes=5, weights=None
    ),
    "EfficientNetB0": lambda: keras.applications.EfficientNetB0(
        input_shape=(32, 32, 3), classes=5, weights=None
    ),
}


def outputs(model, x):
    return keras.ops.convert_to_numpy(model(x, training=False))


def losses(model):
    return [float(keras.ops.convert_to_numpy(loss)) for loss in model.losses]


def weight_decay(model, decay, is_kernel):
    """½·decay·Σw² of the definition, over the weights that `is_kernel` picks by their path."""
    kernels = [weight for weight in model.trainable_weights if is_kernel(weight.path)]
    values = [keras.ops.convert_to_numpy(weight).astype("float64") for weight in kernels]
    return [0.5 * decay * np.sum(value**2) for value in values]


def is_kernel(path):
    return path.endswith("kernel")


def network():
    """Every kind of kernel, shared layers, nested models, and parts that are not to be decayed."""
    inputs = keras.Input((8, 8, 3))
    x = L.Conv2D(4, 3, name="first", use_bias=True)(inputs)
    x = L.DepthwiseConv2D(3, name="depthwise")(PReLU(name="slopes")(x))
    x = L.BatchNormalization(name="norm")(L.Conv2DTranspose(4, 3, name="up")(x))
    x = L.SeparableConv2D(4, 3, padding="same", name="separable")(x)
    inner = keras.Sequential([L.Conv2D(4, 1, name="conv"), RReLU(seed=1)], name="block")
    shared = L.Conv2D(4, 1, name="shared")
    nested = keras.Input(x.shape[1:])
    block = keras.Model(nested, shared(inner(shared(nested))), name="backbone")
    x = L.Flatten()(block(block(x)))
    x = L.Dense(6, activation="relu", name="hidden")(x)
    return keras.Model(inputs, L.Dense(3, name="last")(x), name="net")


@pytest.fixture(scope="module")
def trained():
    """The network after a step, so that the statistics of normalization are not at their start."""
    keras.utils.set_random_seed(3)
    model = network()
    train(model)
    model.get_layer("up").trainable = False
    return model


def train(model):
    """One step, on TensorFlow without a graph, which takes longer."""
    eager = keras.backend.backend() == "tensorflow"
    model.compile("sgd", "mse", jit_compile=jit(), run_eagerly=eager)
    model.fit(images(8), np.ones((8, 3)), verbose=0)


def images(count, size=8):
    return np.random.default_rng(0).normal(size=(count, size, size, 3)).astype("float32")


@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
def test_networks_of_keras_applications(name, backend):
    if backend == "jax" and name != "MobileNetV2":
        pytest.skip("JAX compiles operation by operation, half a minute for each of them")
    model, x = NETS[name](), 50 * images(2, 32)
    put_on = regularize(model, WeightDecay(1e-3), MaxNorm(2.0))
    np.testing.assert_array_equal(outputs(put_on, x), outputs(model, x))
    expected = weight_decay(model, 1e-3, is_kernel)
    kinds = (L.Conv2D, L.DepthwiseConv2D, L.Dense)
    assert len(expected) == sum(isinstance(layer, kinds) for layer in model.layers)
    np.testing.assert_allclose(sorted(losses(put_on)), sorted(expected), rtol=1e-5)
    assert losses(model) == []
    kinds = {
        v.constraint.kernel
        for layer in put_on.layers
        for v in layer.trainable_weights
        if v.constraint
    }
    assert kinds == ({"standard"} if name == "ResNet50" else {"standard", "depthwise"})


def test_outputs_weights_and_names_stay_and_the_model_is_left_alone(trained):
    before, x = trained.get_weights(), images(4)
    put_on = regularize(trained, ElasticNet(), MaxNorm(0.1), dropout=0.5)
    np.testing.assert_array_equal(outputs(put_on, x), outputs(trained, x))
    for old, new in zip(before, put_on.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    names = {layer.name for layer in put_on.layers}
    assert names == {layer.name for layer in trained.layers} | {"hidden_dropout", "last_dropout"}
    assert losses(trained) == []
    assert trained.compiled
    assert not put_on.compiled
    train(put_on)
    for old, kept in zip(before, trained.get_weights(), strict=True):
        np.testing.assert_array_equal(old, kept)


def test_penalty_of_each_kernel_once_and_of_nothing_else(trained):
    put_on = regularize(trained, WeightDecay(0.1))
    expected = weight_decay(trained, 0.1, is_kernel)
    assert len(expected) == 8  # the one that is shared once, the frozen one not
    np.testing.assert_allclose(sorted(losses(put_on)), sorted(expected), rtol=1e-5)
    put_on.get_layer("up").trainable = True
    assert len(losses(put_on)) == 9


def test_each_kernel_gets_a_max_norm_of_its_kind(trained):
    put_on = regularize(trained, kernel_constraint=MaxNorm(0.01))
    kinds = {
        w.path.split("/", 1)[0] + "/" + w.name: w.constraint.kernel
        for w in put_on.weights
        if w.constraint
    }
    assert kinds.pop("depthwise/kernel") == "depthwise"
    assert kinds.pop("separable/depthwise_kernel") == "depthwise"
    assert kinds.pop("up/kernel") == "transpose"
    assert set(kinds.values()) == {"standard"}
    put_on.get_layer("up").trainable = True
    train(put_on)
    for name, axis in (("depthwise", (0, 1)), ("up", (0, 1, 3)), ("first", (0, 1, 2))):
        kernel = put_on.get_layer(name).get_weights()[0]
        np.testing.assert_allclose(np.sqrt(np.sum(kernel**2, axis)), 0.01, rtol=1e-5)


def test_axis_of_a_max_norm_is_kept_and_einsum_gets_its_own():
    dense = L.EinsumDense("abc,cde->abde", (None, 2, 5))
    model = keras.Sequential([keras.Input((4, 3)), dense])
    for given, axis in ((None, (0,)), (1, 1)):
        put_on = regularize(model, kernel_constraint=MaxNorm(2.0, axis=given))
        assert put_on.layers[0].kernel.constraint.axis == axis


def test_round_trip_through_a_file(trained, tmp_path):
    put_on = regularize(trained, WeightDecay(0.1), MaxNorm(2.0), dropout=0.3)
    put_on.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(outputs(loaded, images(4)), outputs(trained, images(4)))
    for layer, again in zip(put_on.layers, loaded.layers, strict=True):
        assert layer.get_config() == again.get_config()
    np.testing.assert_allclose(losses(loaded), losses(put_on), rtol=1e-6)
    assert [w.constraint is None for w in loaded.weights] == [
        w.constraint is None for w in put_on.weights
    ]
    before = loaded.get_layer("first").get_weights()[0]
    train(loaded)
    assert not np.array_equal(before, loaded.get_layer("first").get_weights()[0])


def decayed(model):
    return {weight.path for weight in model.weights if weight.regularizer}


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (None, {"first", "depthwise", "up", "separable", "conv", "shared", "hidden", "last"}),
        (L.Dense, {"hidden", "last"}),
        ((L.Dense, L.DepthwiseConv2D), {"hidden", "last", "depthwise"}),
        ("*e*", {"depthwise", "separable", "shared", "hidden", "conv"}),  # backbone/block/conv
        ("backbone/*", {"conv", "shared"}),
        (["last", L.Conv2DTranspose], {"last", "up"}),
        (lambda layer: layer.name.startswith("s"), {"separable", "shared"}),
        (L.PReLU, {"slopes"}),
        ("slopes", {"slopes"}),
        (["norm", "last"], {"norm", "last"}),
        (L.BatchNormalization, {"norm"}),
    ],
)
def test_where(trained, where, expected):
    put_on = regularize(trained, "l2", where=where)
    assert {path.split("/")[-2] for path in decayed(put_on)} == expected


@pytest.mark.parametrize("where", [None, "*", L.Layer, lambda layer: True])
def test_slopes_biases_and_normalization_are_not_decayed_unless_named(trained, where):
    put_on = regularize(trained, "l2", MaxNorm(), where=where)
    assert len(decayed(put_on)) == 9
    assert all(is_kernel(path) for path in decayed(put_on))
    assert all(w.constraint is None for w in put_on.weights if not is_kernel(w.path))


def test_callable_gets_the_layers_of_the_model(trained):
    wanted = [trained.get_layer("hidden"), trained.get_layer("first")]
    put_on = regularize(trained, "l2", where=lambda layer: layer in wanted)
    assert {path.split("/")[0] for path in decayed(put_on)} == {"hidden", "first"}


def test_what_is_there_stays_unless_replaced():
    there = L.Dense(2, kernel_regularizer="l1", kernel_constraint="non_neg")
    model = keras.Sequential([keras.Input((3,)), there])
    kernel = regularize(model, kernel_constraint=MaxNorm()).layers[0].kernel
    assert isinstance(kernel.regularizer, keras.regularizers.L1)
    assert isinstance(kernel.constraint, MaxNorm)
    kernel = regularize(model, "keras_dcnn>WeightDecay").layers[0].kernel
    assert isinstance(kernel.regularizer, WeightDecay)
    assert isinstance(kernel.constraint, keras.constraints.NonNeg)


def test_frozen_layers_stay_frozen_and_types_of_numbers_stay():
    inputs = keras.Input((4,))
    base = keras.Model(inputs, L.BatchNormalization()(L.Dense(4, name="a")(inputs)), name="base")
    head = L.Dense(4, dtype="mixed_float16", name="head")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, L.Dense(2, dtype="bfloat16", name="last")(head(base(inputs))))
    base.get_layer("a").trainable = False
    for dropout in (None, 0.5):
        put_on = regularize(model, "l2", dropout=dropout)
        assert not put_on.get_layer(base.name).get_layer("a").trainable
        assert put_on.get_layer(base.name).trainable
        assert len(put_on.trainable_weights) == len(model.trainable_weights)
        assert put_on.get_layer("head").dtype_policy.name == "mixed_float16"
        for old, new in zip(model.weights, put_on.weights, strict=True):
            assert old.dtype == new.dtype
            np.testing.assert_array_equal(*(keras.ops.convert_to_numpy(w) for w in (old, new)))


@pytest.mark.parametrize("dropout", [None, 0.5])
def test_a_nested_model_that_is_frozen_but_for_its_last_layer(dropout):
    inputs = keras.Input((4,))
    base = keras.Model(inputs, L.Dense(4, name="b")(L.Dense(4, name="a")(inputs)), name="base")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, L.Dense(2, name="last")(base(inputs)))
    base.trainable = False
    base.get_layer("b").trainable = True
    put_on = regularize(model, "l2", dropout=dropout)
    copied = put_on.get_layer("base")
    flags = [layer.trainable for layer in (copied, copied.get_layer("a"), copied.get_layer("b"))]
    assert flags == [False, False, True]
    assert put_on.trainable
    assert len(put_on.trainable_weights) == len(model.trainable_weights)


@keras.saving.register_keras_serializable("test_regularize")
class Block(L.Layer):
    """A layer that makes its own, and so does not save what is put on them."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = L.Dense(3, name="inside")

    def build(self, input_shape):
        self.dense.build(input_shape)

    def call(self, x):
        return self.dense(x)


def test_layers_inside_custom_ones_are_reached_with_a_warning():
    model = keras.Sequential([keras.Input((3,)), Block(name="block"), L.Dense(2)])
    with pytest.warns(UserWarning, match="block/inside acts, but is not saved with the model"):
        put_on = regularize(model, WeightDecay(0.1))
    np.testing.assert_allclose(losses(put_on), weight_decay(model, 0.1, is_kernel), rtol=1e-5)
    assert len(losses(put_on)) == 2
    with pytest.raises(ValueError, match="must match a Dense layer of a sequential or functional"):
        regularize(model, dropout=0.5, where="inside")


def test_wrappers_recurrent_layers_and_classes_that_nobody_registered():
    class Unregistered(L.Dense):
        pass

    model = keras.Sequential(
        [
            keras.Input((4, 3)),
            L.TimeDistributed(L.Dense(5)),
            L.Bidirectional(L.LSTM(3)),
            Unregistered(2),
        ]
    )
    put_on = regularize(model, WeightDecay(0.1), MaxNorm())
    np.testing.assert_allclose(losses(put_on), weight_decay(model, 0.1, is_own_kernel), rtol=1e-5)
    assert len(losses(put_on)) == 4
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")
    np.testing.assert_array_equal(outputs(put_on, x), outputs(model, x))


def is_own_kernel(path):
    return path.endswith("/kernel")


def rates(model):
    """{name of the layer: (rate, name of the one that gets its outputs)} of its dropouts."""
    after = dict(zip(model.layers, model.layers[1:], strict=False))
    return {
        layer.name: (layer.rate, after[layer].name)
        for layer in model.layers
        if isinstance(layer, L.Dropout)
    }


def test_dropout_in_front_of_dense_layers_that_have_weights_before_them():
    head = keras.Sequential([L.Dense(4, name="a"), L.Dense(4, name="b")], name="head")
    head.build((None, 4))
    model = keras.Sequential(
        [
            keras.Input((2, 2)),
            L.Flatten(),
            L.Dense(4, name="first"),
            L.Dropout(0.1, name="there"),
            L.Dense(4, name="second"),
            head,
        ]
    )
    put_on = regularize(model, dropout=0.4)
    assert rates(put_on) == {"there": (0.4, "second")}
    assert rates(put_on.get_layer("head")) == {
        "a_dropout": (0.4, "a"),
        "b_dropout": (0.4, "b"),
    }
    assert rates(model) == {"there": (0.1, "second")}
    assert rates(regularize(model, dropout=0.4, where="b")) == {"there": (0.1, "second")}
    x = np.ones((64, 2, 2), "float32")
    np.testing.assert_array_equal(outputs(put_on, x), outputs(model, x))
    trained = keras.ops.convert_to_numpy(put_on(x, training=True))
    assert len(np.unique(trained[:, 0])) > 10


def test_dropout_in_functional_models_with_shared_layers(tmp_path):
    inputs = keras.Input((4,))
    shared = L.Dense(4, name="shared")
    x = shared(shared(L.Dense(4, name="first")(L.Reshape((4,))(inputs))))
    twice = keras.Sequential([keras.Input((4,)), L.Dense(4, name="in")], name="twice")
    x = L.Add()([twice(x), twice(twice(x)), x * 2])
    model = keras.Model(inputs, [L.Dense(2, name="last")(x), x])
    put_on = regularize(model, WeightDecay(0.1), dropout=0.5)
    assert len(losses(put_on)) == 4
    assert {layer.name for layer in put_on.layers if isinstance(layer, L.Dropout)} == {
        "shared_dropout",
        "last_dropout",
    }
    values = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    put_on.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for one in (put_on, loaded):
        for expected, value in zip(model(values), one(values), strict=True):
            np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (value, expected)))
    assert len(losses(loaded)) == 4


def test_dictionaries_of_inputs_and_a_loss_that_cannot_be_saved():
    inputs = {name: keras.Input((4,), name=name) for name in ("b", "a")}
    x = L.Concatenate()([inputs["a"], L.Dense(4, activation="relu")(inputs["b"])])
    model = keras.Model(inputs, {"out": L.Dense(2, name="last")(x)})
    model.compile("adam", loss={"out": lambda y, p: keras.ops.mean(y - p)})
    put_on = regularize(model, "l2", dropout=0.5)
    assert put_on.get_layer("last_dropout").rate == 0.5
    values = {name: np.full((2, 4), i, "float32") for i, name in enumerate("ab")}
    np.testing.assert_array_equal(outputs_of(put_on, values), outputs_of(model, values))


def outputs_of(model, values):
    return keras.ops.convert_to_numpy(model(values, training=False)["out"])


def test_statistics_of_data_stay():
    layer = L.Normalization()
    layer.adapt(np.random.default_rng(0).normal(3, 5, size=(50, 3)))
    model = keras.Sequential([keras.Input((3,)), layer, L.Dense(2)])
    x = np.ones((2, 3), "float32")
    np.testing.assert_array_equal(outputs(regularize(model, "l2"), x), outputs(model, x))


def test_nothing_matched_lists_what_there_is(trained):
    there = r"got where='dense\*'. `net` has, with weights: first \(Conv2D\), slopes \(PReLU\), "
    with pytest.raises(ValueError, match=rf"must match a layer with a kernel; {there}"):
        regularize(trained, "l2", where="dense*")
    with pytest.raises(ValueError, match="must match a layer with a kernel"):
        regularize(trained, kernel_constraint="non_neg", where=L.PReLU)
    with pytest.raises(ValueError, match="must match a Dense layer of a sequential"):
        regularize(trained, "l2", dropout=0.5, where=L.Conv2D)
    none = keras.Sequential([keras.Input((2,)), L.ReLU()], name="none")
    with pytest.raises(ValueError, match=r"^the model must have a layer with a kernel.*: none\.$"):
        regularize(none, "l2")
    deep = keras.Sequential([keras.Input((2,)), *[L.Dense(2, name=f"d{i}") for i in range(23)]])
    with pytest.raises(ValueError, match=r"d19 \(Dense\), and 3 more\.$"):
        regularize(deep, "l2", where=[])


class Opaque(keras.Model):
    """A subclassed model that Keras can't make again."""

    def __init__(self, size):
        super().__init__()
        self.dense = L.Dense(size)

    def call(self, x):
        return self.dense(x)


@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_a_layer_shared_across_levels_which_keras_cannot_save():
    shared = L.Dense(4, name="shared")
    block = keras.Sequential([keras.Input((4,)), shared, L.Dense(4)])
    inputs = keras.Input((4,))
    model = keras.Model(inputs, shared(block(inputs)))
    with pytest.raises(ValueError, match=r"in several models, as `\w+/shared` and `shared`: give"):
        regularize(model, "l2")


def attention(kind):
    """Keras numbers the softmax inside anew in a copy."""
    inputs = keras.Input((5, 6))
    x = L.MultiHeadAttention(2, 3)(inputs, inputs)
    x = L.GroupQueryAttention(3, 4, 2)(x, x) if kind == "two kinds" else x
    return keras.Model(inputs, L.Dense(2, name="last")(L.LayerNormalization()(x)))


class Stack(L.Layer):
    """Layers in a list, without names of their own."""

    def __init__(self, size=2, count=2, activation="relu", factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.size, self.count, self.factor = size, count, factor
        self.denses = [L.Dense(size, activation=activation) for _ in range(count)]

    def build(self, shape):
        for dense in self.denses:
            dense.build(shape)
            shape = (*shape[:-1], self.size)

    def call(self, x):
        for dense in self.denses:
            x = dense(x)
        return self.factor * x


class Forgetful(Stack):
    def get_config(self):
        return {"name": self.name}


def around(*layers, shape=(2,)):
    inputs = x = keras.Input(shape)
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, L.Dense(2, name="last")(x))


@pytest.mark.parametrize(
    "build",
    [
        lambda: attention("one kind"),
        lambda: attention("two kinds"),
        lambda: around(Stack(3, 3, "tanh", 2.0), Stack()),
        lambda: around(Forgetful()),
        lambda: around(L.Lambda(lambda x: 2 * x, output_shape=(2,))),
        lambda: around(L.RNN(L.StackedRNNCells([L.LSTMCell(3), L.GRUCell(2)])), shape=(4, 2)),
    ],
)
def test_names_that_keras_gives_anew_are_no_difference(build):
    model = build()
    put_on = regularize(model, "l2", where="last")
    assert decayed(put_on) == {"last/kernel"}
    x = np.random.default_rng(0).normal(size=(2, *model.input_shape[1:])).astype("float32")
    np.testing.assert_array_equal(outputs(put_on, x), outputs(model, x))


@pytest.mark.parametrize(
    ("arguments", "differs"),
    [
        ({"count": 3}, "differs in `stack`"),
        ({"size": 3}, ""),
        ({"activation": "tanh"}, "differs in `stack/dense"),
        ({"factor": 2.0}, "differs in `stack`"),
    ],
)
def test_a_copy_that_is_another_model_is_refused(arguments, differs):
    """Its configuration leaves out what its layer was made with."""
    model = around(Forgetful(**arguments, name="stack"))
    with pytest.raises(
        ValueError, match=f"can't save it and load it again .*{differs}.*get_config"
    ):
        regularize(model, "l2")


def test_classes_of_one_name_are_two():
    def made(offset):
        class Same(L.Layer):
            def call(self, x):
                return x + offset

        return Same()

    with pytest.raises(ValueError, match="can't save it and load it again"):
        regularize(around(made(1.0), made(2.0)), "l2")


def test_frozen_layers_of_one_path_stay_apart():
    class Pair(L.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.both = [L.Dense(2, name="d"), L.Dense(2, name="d")]

        def build(self, shape):
            for one in self.both:
                one.build(shape)

        def call(self, x):
            return self.both[1](self.both[0](x))

    pair = Pair(name="pair")
    model = around(pair)
    pair.both[0].trainable = False
    with pytest.warns(UserWarning, match="acts, but is not saved"):
        copy = regularize(model, "l2", dropout=0.5)
    assert [one.trainable for one in copy.get_layer("pair").both] == [False, True]


def test_models_that_cannot_be_copied_say_the_way_out():
    model = Opaque(3)
    model(np.ones((1, 2), "float32"))
    with pytest.raises(
        ValueError,
        match="give Opaque and its layers a `get_config` that has all their arguments",
    ):
        regularize(model, "l2")
    model = keras.Sequential([keras.Input((2,)), L.Dense(2, activation=lambda x: x)])
    with pytest.raises(ValueError, match=r"\(Could not interpret .*: put `@keras.saving.regis"):
        regularize(model, "l2")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "needs something to put on; got None for all"),
        (
            {"dropout": 0},
            ValueError,
            "`dropout` must be a finite number above 0 and below 1; got 0",
        ),
        ({"dropout": 1}, ValueError, "above 0 and below 1; got 1"),
        ({"kernel_regularizer": 0.1}, ValueError, "Could not interpret regularizer"),
        ({"kernel_constraint": "max"}, ValueError, "Could not interpret constraint"),
        ({"dropout": 0.5, "where": 3}, TypeError, "`where` must be a layer class, a pattern"),
        ({"dropout": 0.5, "where": dict}, TypeError, "`where` as a class must be of layers"),
    ],
)
def test_bad_arguments(trained, arguments, error, message):
    with pytest.raises(error, match=message):
        regularize(trained, **arguments)


def test_bad_models():
    with pytest.raises(TypeError, match="`model` must be a Keras model; got Dense"):
        regularize(L.Dense(3), "l2")
    with pytest.raises(ValueError, match="`model` must be built"):
        regularize(keras.Sequential([L.Dense(3)]), "l2")
