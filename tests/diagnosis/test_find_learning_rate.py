"""find_learning_rate: its suggestions by the definition, and that no value is changed by it."""

import contextlib
import copy
import dataclasses
import itertools
import json
import pickle
import random
import types

import keras
import numpy as np
import pytest
from trainings import for_few_steps, jit, same

from keras_dcnn._files.states import pack
from keras_dcnn._keras.optimizers import leaf_optimizers
from keras_dcnn._state.random_state import get_random_state
from keras_dcnn.diagnosis import LearningRateCurve, find_learning_rate
from keras_dcnn.diagnosis._learning_rate.curve import smooth

rng = np.random.default_rng(0)
X = rng.normal(size=(48, 5)).astype("float32")
Y = np.argmax(X[:, :3], axis=1)
QUICK = {"min_lr": 0.003, "max_lr": 0.3, "num_steps": 12, "batch_size": 16, "verbose": 0}


class Interruptible(keras.Sequential):
    """A model with Ctrl-C in a step, before it or before its results are kept, where told so."""

    interrupt = None

    def make_train_function(self, force=False):
        super().make_train_function(force)
        step = self.train_function
        if step is None or hasattr(step, "is_ours"):
            return

        def interruptible(*arguments):
            place, self.__class__.interrupt = self.interrupt, None
            if place == "before":
                raise KeyboardInterrupt
            results = step(*arguments)
            if place == "after":
                raise KeyboardInterrupt
            return results

        interruptible.is_ours = True
        self.train_function = interruptible


def network():
    """Small, with all that a training step changes: weights, statistics, a seed."""
    keras.utils.set_random_seed(7)
    layers = [keras.Input((5,)), keras.layers.Dense(4, name="features")]
    layers += [keras.layers.BatchNormalization(), keras.layers.Dropout(0.2)]
    return Interruptible([*layers, keras.layers.Dense(3, "softmax", dtype="float32")])


def compiled(optimizer=None, eager=True):
    """On TensorFlow without a graph, unless told: for the few steps here the quickest."""
    model = network()
    model.compile(
        optimizer or keras.optimizers.Adam(0.01),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        **(for_few_steps() if eager else {"jit_compile": jit()}),
    )
    return model


@pytest.fixture(scope="module")
def model():
    """For many tests, as each leaves it as it was."""
    return compiled()


# A test of its own on a model


def optimizers_of(kind, rate):
    """An optimizer, and its rates as a multiple of the highest: of a first layer and of others."""
    optimizers = keras.optimizers
    if kind == "scaled":
        return optimizers.LossScaleOptimizer(optimizers.SGD(rate)), (1, 1)
    if kind == "several":
        groups = optimizers.OptimizerMap(optimizers.SGD(rate))
        groups[".*first.*"] = optimizers.SGD(rate / 10)
        return optimizers.MultiOptimizer(groups), (0.1, 1)
    if kind == "accumulating":
        return optimizers.SGD(rate, gradient_accumulation_steps=3), (1, 1)
    if kind == "averaging":
        return optimizers.SGD(rate, use_ema=True), (1, 1)
    return optimizers.SGD(rate), (1, 1)


def line(optimizer="sgd"):
    """y = u·x + v·x at x = y = 1, of which all is known: the gradients, and when they diverge."""
    inputs = keras.Input((1,))
    sides = [keras.layers.Dense(1, use_bias=False, name=name) for name in ("first", "second")]
    model = keras.Model(inputs, keras.layers.Add()([side(inputs) for side in sides]))
    model.set_weights([np.zeros((1, 1))] * 2)
    model.compile(optimizer, "mse", **for_few_steps())
    return model, (np.ones((32, 1), "float32"), np.ones((32, 1), "float32"))


@pytest.mark.parametrize("kind", ["one", "scaled", "several", "accumulating", "averaging"])
def test_losses_and_rates_are_those_of_gradient_descent(kind, capsys):
    optimizer, shares = optimizers_of(kind, 0.02)
    model, data = line(optimizer)
    model.train_on_batch(*data)
    model.set_weights([np.zeros((1, 1))] * 2)
    with nothing_changes(model):
        curve = find_learning_rate(model, data, 1e-3, 100.0, num_steps=40, smoothing=0.5)
    weights, losses = np.zeros(2), []
    for rate in curve.rates:
        error = 1 - weights.sum()
        losses.append(error**2)
        weights += rate * np.array(shares) * 2 * error
    np.testing.assert_allclose(curve.losses, losses, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(curve.rates, np.geomspace(1e-3, 100, 40)[: len(curve.rates)])
    np.testing.assert_allclose(curve.smoothed, smooth(curve.losses, 0.5))
    assert curve.diverged
    assert 1 < sum(shares) * curve.rates[-1] < 6  # there each step is a step away
    assert 0.005 < curve.valley < 1
    assert 0.005 < curve.steepest < 1
    assert capsys.readouterr().out == f"{curve}\n"
    assert f"; by {curve.rates[-1]:.2g} it had diverged." in str(curve)
    assert LearningRateCurve(**json.loads(json.dumps(dataclasses.asdict(curve)))).valley
    assert pickle.loads(pickle.dumps(curve)) == copy.deepcopy(curve) == curve
    after = sorted(float(leaf.learning_rate) for leaf in leaf_optimizers(optimizer))
    assert after == pytest.approx([0.002, 0.02] if kind == "several" else [0.02])


def test_a_loss_that_is_not_finite_ends_the_curve():
    model, (x, y) = line()
    x[-1], y[-1] = 1e30, 0  # its squared error is infinite once the weight is not zero
    data = [(x[:4], y[:4])] * 20 + [(x[-4:], y[-4:])]
    curve = find_learning_rate(model, data, 1e-3, 0.1, num_steps=50, verbose=0)
    assert len(curve.losses) == 20
    assert curve.diverged
    assert np.isfinite(curve.losses).all()


def test_half_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = compiled(keras.optimizers.SGD(0.01))
    finally:
        keras.config.set_dtype_policy(before)
    curve = find_learning_rate(model, (X, Y), **{**QUICK, "max_lr": 10.0, "num_steps": 20})
    assert np.isfinite(curve.losses).all()


# No value is changed


class Rows(keras.utils.PyDataset):
    """Batches of 16, in an order that its own generator draws each epoch."""

    def __init__(self):
        super().__init__()
        self.rng = np.random.default_rng(3)
        self.epochs = 0

    def __len__(self):
        return 3

    def __getitem__(self, i):
        rows = self.rng.permutation(48)[:16]
        return X[rows], Y[rows]

    def on_epoch_end(self):
        self.epochs += 1


def tf_data(**shuffle):
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(48, **shuffle)
    return data.batch(16, drop_remainder=True)


def tf_generator():
    import tensorflow as tf

    signature = (tf.TensorSpec((5,), tf.float32), tf.TensorSpec((), tf.int64))
    data = tf.data.Dataset.from_generator(
        lambda: zip(X, Y, strict=True), output_signature=signature
    )
    return data.shuffle(48).batch(16).apply(tf.data.experimental.assert_cardinality(3))


def loader(generator):
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    torch.manual_seed(4)
    generator = torch.Generator().manual_seed(4) if generator else None
    return torch.utils.data.DataLoader(data, 16, shuffle=True, generator=generator)


DATA = {
    "arrays": lambda: (X, Y),
    "float64 and sample weights": lambda: (X.astype("float64"), Y, np.linspace(0, 2, 48)),
    "tf.data": tf_data,
    "tf.data with a seed": lambda: tf_data(seed=5),
    "tf.data of a generator": tf_generator,
    "PyDataset": Rows,
    "DataLoader": lambda: loader(False),
    "list": lambda: [(X[:16], Y[:16]), (X[16:32], Y[16:32])],
}


def read(data):
    """What comes out of data in two epochs, and what they hold otherwise."""
    if isinstance(data, tuple):
        return list(data)
    own = [data.rng.random(), data.epochs] if isinstance(data, Rows) else []
    batches = [[data[i] for i in range(3)] if own else list(data) for _ in range(2)]
    return [np.array(one) for one in [*keras.tree.flatten(batches), *own]]


def variables_of(model):
    return [*model.variables, *model.optimizer.variables, *model.metrics_variables]


def state_of(model):
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables_of(model)]


@contextlib.contextmanager
def nothing_changes(model):
    """No value that the model had, and no random number."""
    before, values, (plain, arrays) = variables_of(model), state_of(model), pack(get_random_state())
    yield
    assert same(values, [np.array(keras.ops.convert_to_numpy(variable)) for variable in before])
    after = pack(get_random_state())
    assert plain == after[0]
    assert same(arrays, after[1])


@pytest.mark.parametrize("kind", DATA)
def test_model_and_data_are_as_before(kind, model):
    outcomes = []
    for used in (False, True):
        keras.utils.set_random_seed(11)
        data = DATA[kind]()
        if used:
            with nothing_changes(model):
                find_learning_rate(model, data, **QUICK)
        outcomes.append([*read(data), np.array([random.random(), np.random.rand()])])  # noqa: NPY002
    assert same(*outcomes)


def fit(model, data):
    arguments = {"x": data, "shuffle": False}  # they shuffle themselves
    if isinstance(data, tuple):
        arguments = {"x": data[0], "y": data[1], "batch_size": 16}
    losses = model.fit(**arguments, epochs=2, verbose=0).history["loss"]
    return [*state_of(model), losses]


def twins(make_data, use, begun=False):
    """Two equal models and data, one of which is used; what a `fit` makes of each."""
    results = []
    for used in (False, True):
        model = compiled()
        keras.utils.set_random_seed(11)
        data = make_data()
        if begun:
            fit(model, data)
        if used:
            with nothing_changes(model):
                use(model, data)
        results.append(fit(model, data))
    return results


@pytest.mark.parametrize(
    ("kind", "begun"),
    [
        ("arrays", False),
        ("PyDataset", True),
        ("tf.data with a seed", False),
        ("tf.data with a seed", True),
        ("DataLoader", True),
    ],
)
def test_a_fit_afterwards_is_the_same(kind, begun):
    one, other = twins(DATA[kind], lambda *given: find_learning_rate(*given, **QUICK), begun)
    assert same(one, other)


def test_data_that_move_on_are_read_with_one_warning(model):
    one, other = loader(True), loader(True)
    with pytest.warns(UserWarning, match="next `fit` may get other batches") as caught:
        find_learning_rate(model, one, **QUICK)
    assert sum("other batches" in str(one.message) for one in caught) == 1
    assert not same(read(one), read(other))


class Interrupts(keras.utils.PyDataset):
    """Batches of which one is an exception."""

    def __init__(self, number, error):
        super().__init__()
        self.calls, self.number, self.error = itertools.count(), number, error

    def __len__(self):
        return 3

    def __getitem__(self, _):
        if next(self.calls) == self.number:
            raise self.error
        return X[:16], Y[:16]


@pytest.mark.parametrize("error", [OSError("disk"), KeyboardInterrupt()], ids=["error", "Ctrl-C"])
@pytest.mark.parametrize("number", [0, 5])
def test_the_data_may_raise(error, number, model):
    with nothing_changes(model), pytest.raises(type(error)):
        find_learning_rate(model, Interrupts(number, error), **QUICK)


class Pressed(Rows):
    """Batches at the fourth of which a user presses Ctrl-C."""

    def __init__(self, place):
        super().__init__()
        self.place, self.calls = place, itertools.count(1)

    def __getitem__(self, i):
        if next(self.calls) == 4:
            Interruptible.interrupt = self.place
        return super().__getitem__(i)


@pytest.mark.every_backend
@pytest.mark.parametrize(("place", "begun"), [("before", True), ("after", False)])
def test_interrupted_in_a_step(place, begun):
    def use(model, _):
        data = Pressed(place)
        with pytest.raises(KeyboardInterrupt):
            find_learning_rate(model, data, **QUICK)
        assert data.rng.random() == Rows().rng.random()

    one, other = twins(lambda: (X, Y), use, begun)
    assert same(one, other)


def test_the_optimizer_stays_built_with_what_it_begins_with(model):
    used, new = compiled(), compiled()
    find_learning_rate(used, (X, Y), **QUICK)
    assert used.optimizer.built
    new.optimizer.build(new.trainable_variables)
    values = [[v.numpy() for v in one.optimizer.variables] for one in (used, new)]
    assert len(values[0]) > 2
    assert same(*values)
    assert used.evaluate(X, Y, verbose=0) == new.evaluate(X, Y, verbose=0)


def test_random_layers_and_variables_in_tf_data(model):
    import tensorflow as tf

    generator = tf.random.Generator.from_seed(3)
    data = tf.data.Dataset.from_tensor_slices((X, Y)).cache().shuffle(48).repeat()
    data = data.map(lambda x, y: (x + generator.normal((5,)), y)).batch(16)
    before = generator.state.numpy()
    find_learning_rate(model, data, **QUICK)
    np.testing.assert_array_equal(generator.state.numpy(), before)


def test_a_set_that_cannot_be_copied_is_read_with_a_warning(model, monkeypatch):
    import tensorflow as tf

    data = tf_data()

    def too_large(**_):
        raise ValueError("larger than 2 GB")

    monkeypatch.setattr(tf.raw_ops, "DatasetToGraphV2", too_large)
    with pytest.warns(UserWarning, match="tf.data below 2 GB"):
        find_learning_rate(model, data, **QUICK)


class Drawing(Rows):
    """Draws from generators of every kind for each batch."""

    def __init__(self):
        super().__init__()
        self.python, self.old = random.Random(1), np.random.RandomState(1)
        self.layer, self.seeds = keras.layers.Dropout(0.5, seed=1), keras.random.SeedGenerator(1)

    def draws(self):
        seed = keras.ops.convert_to_numpy(self.seeds.next()).tolist()
        dropped = keras.ops.convert_to_numpy(self.layer(np.ones(20), training=True)).tolist()
        return [self.python.random(), self.old.rand(), self.rng.random(), seed, dropped]

    def __getitem__(self, i):
        self.draws()
        return super().__getitem__(i)


def test_generators_of_the_data_are_put_back(model):
    data, expected = Drawing(), Drawing().draws()
    find_learning_rate(model, data, **QUICK)
    assert data.draws() == expected
    assert data.epochs == 0


def batches_seen(rows, **options):
    """The rows of each step, as a loss that falls by itself sees them."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("others call a loss without values first, or only so; the order is NumPy's")
    seen = []

    def loss(y, outputs):
        np.testing.assert_array_equal(outputs, y)  # each row with its own label
        seen.append(keras.ops.convert_to_numpy(y)[:, 0])
        return 1 / len(seen) + 0 * keras.ops.mean(outputs)

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, "linear", False, "ones")])
    model.compile("sgd", loss, run_eagerly=True)
    data = np.arange(rows, dtype="float32")[:, None]
    find_learning_rate(model, (data, data), num_steps=12, verbose=0, **options)
    return seen


def test_seed():
    one, again, other = (batches_seen(32, batch_size=10, seed=seed) for seed in (1, 1, 2))
    assert same(one, again)
    assert not same(one, other)
    one, again = (batches_seen(32, batch_size=10) for _ in range(2))
    assert same(one, again)


def test_each_sample_once_in_a_round():
    seen = batches_seen(32, batch_size=10)
    for start in range(0, 12, 3):
        rows = np.concatenate(seen[start : start + 3])
        assert len(rows) == len(np.unique(rows)) == 30
    assert not np.array_equal(seen[0], seen[3])
    assert all(len(rows) == 32 for rows in batches_seen(32, batch_size=64))


# What is refused


def test_models_that_are_refused():
    with pytest.raises(TypeError, match="`model` must be a Keras model; got Dense"):
        find_learning_rate(keras.layers.Dense(1), (X, Y))
    with pytest.raises(ValueError, match="`model` must be built"):
        find_learning_rate(keras.Sequential([keras.layers.Dense(1)]), (X, Y))
    with pytest.raises(ValueError, match=r"must be compiled with .* is not compiled"):
        find_learning_rate(network(), (X, Y))
    bare = network()
    bare.compile(None, "mse")
    with pytest.raises(ValueError, match=r"must be compiled with .* was compiled with none"):
        find_learning_rate(bare, (X, Y))
    frozen = network()
    frozen.trainable = False
    frozen.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match=r"must have weights to train; all of .* are frozen"):
        find_learning_rate(frozen, (X, Y))
    empty = keras.Sequential([keras.Input((5,)), keras.layers.Flatten()])
    empty.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"must have weights to train; `.*` has none"):
        find_learning_rate(empty, (X, X))
    spoilt = compiled()
    spoilt.optimizer.build(spoilt.trainable_variables)
    spoilt.optimizer.variables[-1].assign(spoilt.optimizer.variables[-1] * np.nan)
    with pytest.raises(ValueError, match="it, or its optimizer, holds NaN"):
        find_learning_rate(spoilt, (X, Y))
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 100)
    with pytest.raises(ValueError, match="needs a learning rate that it can set"):
        find_learning_rate(compiled(keras.optimizers.Adam(schedule)), (X, Y))
    still = keras.optimizers.OptimizerMap(keras.optimizers.SGD(0.0))
    still[".*features.*"] = keras.optimizers.SGD(0.0)
    with pytest.raises(ValueError, match="all are 0"):
        find_learning_rate(compiled(keras.optimizers.MultiOptimizer(still)), (X, Y))


class Adversaries(keras.Sequential):
    """Trains by optimizers of its own."""

    def compile(self, **optimizers):
        super().compile(loss="mse")
        self.own, self.others = optimizers.pop("own"), optimizers

    def train_step(self, *given):
        raise AssertionError("must not train")


def test_optimizers_of_the_model_s_own_are_named():
    model = Adversaries([keras.Input((5,)), keras.layers.Dense(1)])
    adam, sgd = keras.optimizers.Adam(0.02), keras.optimizers.SGD(0.02)
    model.compile(own=adam, judge=sgd)
    with pytest.raises(ValueError, match=r"compiled with; .* holds `own`, `others\['judge'\]`"):
        find_learning_rate(model, (X, Y))
    assert float(adam.learning_rate) == float(sgd.learning_rate) == np.float32(0.02)


class ReadOnce:
    """Gives its batches once only, without being an iterator."""

    def __init__(self):
        self.batches = iter([(X, Y)] * 3)

    def __iter__(self):
        return self.batches


def test_data_that_end_without_being_an_iterator(model):
    with (
        pytest.warns(UserWarning, match="had to read `data`"),
        pytest.raises(ValueError, match="at least one batch; got none when read again"),
    ):
        find_learning_rate(model, ReadOnce())


@pytest.mark.parametrize(
    ("data", "error", "match"),
    [
        (lambda: ((X, Y) for _ in range(3)), ValueError, "got a generator, which is empty"),
        (lambda: iter([(X, Y)]), ValueError, "readable again and again; got a list_iterator"),
        (lambda: X, TypeError, "must be a tuple"),
        (lambda: [X, Y], TypeError, "must be a tuple.*got a list of arrays"),
        (lambda: {"x": X}, TypeError, "must be a tuple"),
        (lambda: 3, TypeError, "must be a tuple.*got int"),
        (lambda: [], ValueError, "at least one batch"),
        (lambda: (X[:0], Y[:0]), ValueError, "at least one batch; got none."),
        (lambda: (X, Y[:5]), ValueError, "as many samples.*48.*5"),
        (lambda: (X, 3), ValueError, "must hold arrays; got a number"),
        (lambda: (), ValueError, "must hold arrays; got none"),
        (lambda: (None, None), ValueError, "must hold arrays; got none"),
        (lambda: (X + 1j, Y), TypeError, "the data must be real numbers; got complex64"),
        (lambda: [(X, Y + 1j)], TypeError, "the data must be real numbers; got complex128"),
    ],
)
def test_data_that_are_refused(data, error, match, model):
    with pytest.raises(error, match=match):
        find_learning_rate(model, data())


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"min_lr": 0}, "`min_lr` must be a finite number above 0; got 0"),
        ({"min_lr": 1.0, "max_lr": 1.0}, "`max_lr` must be a finite number above 1.0"),
        ({"num_steps": 9}, "`num_steps` must be a whole number of at least 10"),
        ({"batch_size": 0}, "`batch_size`"),
        ({"smoothing": 1.0}, "`smoothing` must be .* and below 1; got 1.0"),
        ({"smoothing": -0.1}, "`smoothing` must be a finite number of at least 0"),
        ({"seed": -1}, "`seed`"),
        ({"verbose": 2}, "`verbose`"),
    ],
)
def test_bad_arguments(arguments, match, model):
    with pytest.raises(ValueError, match=match):
        find_learning_rate(model, (X, Y), **arguments)


def test_losses_that_suggest_nothing():
    model, (x, y) = line()
    before = state_of(model)
    far = np.full_like(y, 1e30)
    with pytest.raises(ValueError, match=r"must be finite; it was not so .* before any update"):
        find_learning_rate(model, (x, far))
    with pytest.raises(ValueError, match=r"needs 10 losses.*lower `min_lr`"):
        find_learning_rate(model, (x, y), min_lr=2.0)
    with pytest.raises(ValueError, match=r"must fall as the rate rises.* was 0 at the first"):
        find_learning_rate(model, (x, y * 0), verbose=0)
    with pytest.raises(ValueError, match="must be finite; a batch with NaN"):
        find_learning_rate(model, (x, y * np.nan))
    with pytest.raises(ValueError, match="must be finite; a batch with NaN"):
        find_learning_rate(model, [(x, y)] * 20 + [(x * np.nan, y)])
    assert same(before, state_of(model))


class Simulated(keras.Sequential):
    """Of which the loss is told by its learning rate and a draw."""

    def train_on_batch(self, *batch, return_dict):
        rate = float(self.optimizer.learning_rate)
        return {"loss": self.loss_at(rate) + 0.2 * self.draws.standard_normal()}


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_not_taken_for_a_descent(seed, capsys):
    model = Simulated([keras.Input((5,)), keras.layers.Dense(3)])
    model.compile("sgd", "mse")
    model.draws = np.random.default_rng(seed)
    model.loss_at = lambda rate: 2 - 1 / (1 + (rate / 0.01) ** -1.5) + (rate / 0.3) ** 3
    curve = find_learning_rate(model, (X, Y), verbose=0)
    assert 2e-3 < curve.valley <= curve.steepest < 0.15  # where 8 % have fallen; the lowest
    model.loss_at = lambda rate: 2
    curve = find_learning_rate(model, (X, Y))
    assert curve.valley is curve.steepest is None
    assert len(curve.losses) == 100
    printed = capsys.readouterr().out
    assert "none can be suggested, since the loss does not fall clearly" in printed
    assert "keep the rate that you have, or try again with a larger `batch_size`" in printed


@pytest.mark.parametrize(
    ("slope", "advice"), [(0.0, "raise `max_lr`"), (-1e-9, "raise `max_lr`"), (1, "lower `min_lr`")]
)
def test_losses_that_do_not_fall(slope, advice):
    """Regression: less than float32 can tell was taken for a fall; of a rise: raise `max_lr`."""
    model = Simulated([keras.Input((5,)), keras.layers.Dense(3)])
    model.compile("sgd", "mse")
    model.draws = types.SimpleNamespace(standard_normal=lambda: 0.0)
    model.loss_at = lambda rate: 1 + slope * np.log10(rate / 1e-6) / 7
    with pytest.raises(ValueError, match=f"must fall .* no lower than .*: {advice}, and see"):
        find_learning_rate(model, (X, Y), verbose=0)


class WithoutLoss(keras.Sequential):
    def train_step(self, *given):
        logs = {"score": 1.0}
        return (logs, given[0]) if keras.backend.backend() == "jax" else logs


def test_a_train_step_without_a_loss():
    model = WithoutLoss([keras.Input((5,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="must return 'loss'; got score"):
        find_learning_rate(model, (X, X[:, :1]))


def test_labels_outside_the_classes_are_refused():
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match=r"whole numbers from 0 to 2, the classes of 3.*got 3"):
        find_learning_rate(model, (X, np.arange(len(X)) % 3 + 1))
