"""find_learning_rate: its suggestions by the definition, and that nothing is changed by it."""

import dataclasses
import itertools
import json
import random

import keras
import numpy as np
import pytest
from trainings import jit, same

from keras_dcnn._random_state import get_random_state
from keras_dcnn.callbacks._state import pack
from keras_dcnn.diagnosis import LearningRateCurve, find_learning_rate
from keras_dcnn.diagnosis._rate_curve import (
    has_diverged,
    longest_fall,
    smooth,
    steepest_place,
    valley_place,
)

rng = np.random.default_rng(0)
X = rng.normal(size=(48, 5)).astype("float32")
Y = np.argmax(X[:, :3], axis=1)
QUICK = {"min_lr": 0.003, "max_lr": 0.3, "num_steps": 30, "batch_size": 16, "verbose": 0}


def network():
    """Small, with all that a training step changes: weights, statistics, a seed."""
    keras.utils.set_random_seed(7)
    layers = [keras.Input((5,)), keras.layers.Dense(4, name="features")]
    layers += [keras.layers.BatchNormalization(), keras.layers.Dropout(0.2)]
    return keras.Sequential([*layers, keras.layers.Dense(3, "softmax", dtype="float32")])


def compiled(optimizer=None, xla=True):
    xla = jit() and (xla or keras.backend.backend() == "jax")  # TensorFlow is quicker without
    model = network()
    optimizer = optimizer or keras.optimizers.Adam(0.01)
    loss = "sparse_categorical_crossentropy"
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=xla)
    return model


# The curve


@pytest.mark.parametrize("beta", [0, 0.5, 0.98])
def test_smoothing_is_the_recursion_with_bias_correction(beta):
    losses = np.random.default_rng(0).normal(size=50)
    average, expected = 0.0, []
    for k, loss in enumerate(losses, 1):
        average = beta * average + (1 - beta) * loss
        expected.append(average / (1 - beta**k))
    np.testing.assert_allclose(smooth(losses, beta), expected, rtol=1e-12)


def test_divergence():
    assert not has_diverged([1.0, 0.5, 2.0])
    assert has_diverged([1.0, 0.5, 2.01])
    assert not has_diverged([1.0, -2.0, -1.0])  # negative losses: as far above the best
    assert has_diverged([1.0, -2.0, 4.1])
    assert not has_diverged([3.0])


@pytest.mark.parametrize("seed", range(20))
def test_longest_fall_against_all_subsequences(seed):
    values = np.random.default_rng(seed).integers(0, 8, 9)
    falls = [
        places
        for length in range(1, 10)
        for places in itertools.combinations(range(9), length)
        if all(values[i] > values[j] for i, j in itertools.pairwise(places))
    ]
    longest = max(map(len, falls))
    ends = {(fall[0], fall[-1]) for fall in falls if len(fall) == longest}
    assert longest_fall(values) in ends


def test_places_on_a_curve_that_is_known():
    rates = np.geomspace(1e-4, 1, 41)
    log = np.log10(rates)
    smoothed = np.where(log < -1, 2 - 1 / (1 + np.exp(-4 * (log + 2))), 1 + 4 * (log + 1) ** 2)
    assert rates[steepest_place(rates, smoothed)] == pytest.approx(1e-2)  # the logistic's middle
    assert valley_place(smoothed) == 20  # falls from place 0 to 30
    spiked = smoothed + 50 * (np.arange(41) == 35)
    assert steepest_place(rates, spiked) == steepest_place(rates, smoothed)
    rising = np.arange(41.0)
    assert steepest_place(rates, rising) is valley_place(rising) is None


# A test of its own on a model


def line(rate=0.01, **options):
    """y = x, of which all is known: the gradient, and when gradient descent diverges."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.set_weights([np.zeros((1, 1))])
    model.compile(keras.optimizers.SGD(rate), "mse", jit_compile=jit(), **options)
    return model, (np.ones((32, 1), "float32"), np.ones((32, 1), "float32"))


def test_losses_and_rates_are_those_of_gradient_descent(capsys):
    model, data = line()
    curve = find_learning_rate(model, data, 1e-3, 100.0, num_steps=60, smoothing=0.5)
    weight, losses = 0.0, []
    for rate in curve.rates:
        losses.append((1 - weight) ** 2)
        weight += rate * 2 * (1 - weight)
    np.testing.assert_allclose(curve.losses, losses, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(curve.rates, np.geomspace(1e-3, 100, 60)[: len(curve.rates)])
    np.testing.assert_allclose(curve.smoothed, smooth(curve.losses, 0.5))
    assert curve.diverged
    assert 1 < curve.rates[-1] < 5  # at rates above 1 each step is a step away
    assert 0.01 < curve.valley < 1
    assert 0.01 < curve.steepest < 1
    assert capsys.readouterr().out == f"{curve}\n"
    assert f"and it diverged at {curve.rates[-1]:.2g}." in str(curve)
    assert LearningRateCurve(**json.loads(json.dumps(dataclasses.asdict(curve)))).valley


def test_a_loss_that_is_not_finite_ends_the_curve():
    model, (x, y) = line()
    x[-1], y[-1] = 1e30, 0  # its squared error is infinite once the weight is not zero
    data = [(x[:4], y[:4])] * 20 + [(x[-4:], y[-4:])]
    curve = find_learning_rate(model, data, 1e-3, 0.1, num_steps=50, verbose=0)
    assert len(curve.losses) == 20
    assert curve.diverged
    assert np.isfinite(curve.losses).all()


def optimizers_of(kind):
    optimizers = keras.optimizers
    if kind == "scaled":
        return optimizers.LossScaleOptimizer(optimizers.SGD(0.01))
    groups = optimizers.OptimizerMap(optimizers.SGD(0.01))
    groups[".*features.*"] = optimizers.Adam(0.001)
    return optimizers.MultiOptimizer(groups)


@pytest.mark.parametrize("kind", ["scaled", "several"])
def test_rates_rise_in_proportion(kind, monkeypatch):
    from keras_dcnn._keras import leaf_optimizers

    optimizer, seen = optimizers_of(kind), []
    model = compiled(optimizer)
    train = type(model).train_on_batch

    def watched(self, *batch, **options):
        seen.append([float(one.learning_rate) for one in leaf_optimizers(optimizer)])
        return train(self, *batch, **options)

    monkeypatch.setattr(type(model), "train_on_batch", watched)
    curve = find_learning_rate(model, (X, Y), **QUICK)
    np.testing.assert_allclose(np.max(seen, axis=1), curve.rates, rtol=1e-6)
    if kind == "several":
        np.testing.assert_allclose(np.max(seen, axis=1), 10 * np.min(seen, axis=1), rtol=1e-5)
    assert sorted(float(one.learning_rate) for one in leaf_optimizers(optimizer)) == pytest.approx(
        [0.001, 0.01] if kind == "several" else [0.01]
    )


def test_half_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = compiled(keras.optimizers.SGD(0.01))
    finally:
        keras.config.set_dtype_policy(before)
    curve = find_learning_rate(model, (X, Y), max_lr=10.0, batch_size=16, verbose=0)
    assert np.isfinite(curve.losses).all()


# Nothing is changed


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
    "DataLoader with a generator": lambda: loader(True),
    "list": lambda: [(X[:16], Y[:16]), (X[16:32], Y[16:32])],
}


def fit(model, data):
    arrays = dict(zip(("x", "y", "sample_weight"), data, strict=False))
    arguments = {**arrays, "batch_size": 16} if isinstance(data, tuple) else {"x": data}
    if isinstance(data, list):
        arguments = {"x": data[0][0], "y": data[0][1]}
    elif not isinstance(data, (tuple, keras.utils.PyDataset)):
        arguments["shuffle"] = False  # they shuffle themselves
    losses = model.fit(**arguments, epochs=2, verbose=0).history["loss"]
    return [*state_of(model), losses, np.array([random.random(), np.random.rand()])]  # noqa: NPY002


def state_of(model):
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def twins(make_data, use, begun=False, xla=False):
    """Two equal models and data, one of which is used; what a `fit` makes of each."""
    results = []
    for used in (False, True):
        model = compiled(xla=xla)
        keras.utils.set_random_seed(11)
        data = make_data()
        if begun:
            fit(model, data)
        if used:
            before = state_of(model), pack(get_random_state())
            use(model, data)
            after = state_of(model), pack(get_random_state())
            assert same(before[0], after[0])
            assert before[1][0] == after[1][0]
            assert same(before[1][1], after[1][1])
        results.append(fit(model, data))
    return results


@pytest.mark.parametrize("kind", DATA)
def test_a_fit_afterwards_is_the_same(kind):
    xla = kind in ("arrays", "tf.data")
    one, other = twins(DATA[kind], lambda *given: find_learning_rate(*given, **QUICK), xla=xla)
    assert same(one, other)


@pytest.mark.parametrize("kind", ["arrays", "tf.data", "DataLoader with a generator"])
def test_in_the_middle_of_a_training(kind):
    one, other = twins(DATA[kind], lambda *given: find_learning_rate(*given, **QUICK), begun=True)
    assert same(one, other)


class Interrupts:
    """Batches that end with an exception, once."""

    def __init__(self, number, error):
        self.number = number
        self.error = error

    def __iter__(self):
        for i in range(9):
            if i == self.number:
                raise self.error
            yield X[:16], Y[:16]


@pytest.mark.parametrize("error", [OSError("disk"), KeyboardInterrupt()], ids=["error", "Ctrl-C"])
@pytest.mark.parametrize("number", [0, 5])
def test_the_data_may_raise(error, number):
    def use(model, _):
        with pytest.raises(type(error)):
            find_learning_rate(model, Interrupts(number, error), **QUICK)

    one, other = twins(lambda: (X, Y), use)
    assert same(one, other)


def interrupting(step, place):
    """A training step with Ctrl-C in the fourth call: before it, or before its results are kept."""
    calls = itertools.count(1)

    def interrupted(*arguments):
        fourth = next(calls) == 4
        if fourth and place == "before":
            raise KeyboardInterrupt
        results = step(*arguments)
        if fourth:
            raise KeyboardInterrupt
        return results

    interrupted.is_ours = True
    return interrupted


@pytest.mark.parametrize(
    ("kind", "place", "begun"),
    [("arrays", "before", True), ("arrays", "after", False), ("tf.data", "after", True)],
)
def test_interrupted_in_a_step(kind, place, begun, monkeypatch):
    make = keras.Model.make_train_function

    def make_and_wrap(model, force=False):
        make(model, force)
        if not hasattr(model.train_function, "is_ours"):
            model.train_function = interrupting(model.train_function, place)

    def use(model, data):
        with monkeypatch.context() as patch:
            patch.setattr(keras.Model, "make_train_function", make_and_wrap)
            with pytest.raises(KeyboardInterrupt):
                find_learning_rate(model, data, **QUICK)

    one, other = twins(DATA[kind], use, begun)
    assert same(one, other)


def test_what_the_first_step_builds_is_gone():
    model = compiled()
    built = [model.optimizer.built, model.train_function, len(model.metrics_variables)]
    find_learning_rate(model, (X, Y), **QUICK)
    assert built == [model.optimizer.built, model.train_function, len(model.metrics_variables)]
    assert [variable.name for variable in model.optimizer.variables] == [
        "iteration",
        "learning_rate",
    ]
    model.get_layer("features").trainable = False
    model.fit(X, Y, epochs=1, verbose=0)  # with an optimizer already built it would fail


def test_gradients_beside_the_weights_stay(backend):
    if backend != "torch":
        pytest.skip("only PyTorch keeps them there")
    model = compiled()
    model(X[:4]).sum().backward()
    before = [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]
    assert before
    find_learning_rate(model, (X, Y), **QUICK)
    after = [weight.grad for weight in model.parameters() if weight.grad is not None]
    assert same([x.numpy() for x in before], [x.numpy() for x in after])


def test_random_layers_and_variables_in_tf_data():
    import tensorflow as tf

    generator = tf.random.Generator.from_seed(3)
    data = tf.data.Dataset.from_tensor_slices((X, Y)).cache().shuffle(48).repeat()
    data = data.map(lambda x, y: (x + generator.normal((5,)), y)).batch(16)
    before = generator.state.numpy()
    find_learning_rate(compiled(), data, **QUICK)
    np.testing.assert_array_equal(generator.state.numpy(), before)


def test_a_set_that_cannot_be_copied_is_read_with_a_warning(monkeypatch):
    import tensorflow as tf

    data = tf_data()

    def too_large(**_):
        raise ValueError("larger than 2 GB")

    monkeypatch.setattr(tf.raw_ops, "DatasetToGraphV2", too_large)
    with pytest.warns(UserWarning, match="can't be copied.*larger than 2 GB"):
        find_learning_rate(compiled(), data, **QUICK)


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


def test_generators_of_the_data_are_put_back():
    data, expected = Drawing(), Drawing().draws()
    find_learning_rate(compiled(), data, **QUICK)
    assert data.draws() == expected
    assert data.epochs == 0


def batches_seen(monkeypatch, data, **options):
    """The values of x in each step, of a model that does nothing."""
    model, _ = line()
    seen = []

    def watched(x, y, sample_weight=None, return_dict=False):
        seen.append(keras.ops.convert_to_numpy(x)[:, 0])
        np.testing.assert_array_equal(seen[-1], y)
        return {"loss": 1 / len(seen)}

    monkeypatch.setattr(model, "train_on_batch", watched)
    find_learning_rate(model, data, num_steps=12, verbose=0, **options)
    return seen


NUMBERS = (np.arange(32, dtype="float32")[:, None], np.arange(32, dtype="float32"))


def test_seed(monkeypatch):
    one, again, other = (
        batches_seen(monkeypatch, NUMBERS, batch_size=10, seed=seed) for seed in (1, 1, 2)
    )
    assert same(one, again)
    assert not same(one, other)
    one, again = (batches_seen(monkeypatch, NUMBERS, batch_size=10) for _ in range(2))
    assert same(one, again)


def test_each_sample_once_in_a_round(monkeypatch):
    seen = batches_seen(monkeypatch, NUMBERS, batch_size=10)
    for start in range(0, 12, 3):
        rows = np.concatenate(seen[start : start + 3])
        assert len(rows) == len(np.unique(rows)) == 30
    assert not np.array_equal(seen[0], seen[3])
    assert all(len(rows) == 32 for rows in batches_seen(monkeypatch, NUMBERS, batch_size=64))


# What is refused


def test_models_that_are_refused():
    with pytest.raises(TypeError, match="`model` must be a Keras model; got Dense"):
        find_learning_rate(keras.layers.Dense(1), (X, Y))
    with pytest.raises(ValueError, match="`model` must be built"):
        find_learning_rate(keras.Sequential([keras.layers.Dense(1)]), (X, Y))
    with pytest.raises(ValueError, match="must be compiled with an optimizer and a loss"):
        find_learning_rate(network(), (X, Y))
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 100)
    with pytest.raises(ValueError, match="rate of Adam must be a number; got a schedule"):
        find_learning_rate(compiled(keras.optimizers.Adam(schedule)), (X, Y))
    chosen = keras.optimizers.MultiOptimizer(lambda variable: keras.optimizers.SGD())
    with pytest.raises(ValueError, match=r"call model\.optimizer\.build"):
        find_learning_rate(compiled(chosen), (X, Y))
    still = keras.optimizers.OptimizerMap(keras.optimizers.SGD(0.0))
    still[".*features.*"] = keras.optimizers.SGD(0.0)
    with pytest.raises(ValueError, match="all are 0"):
        find_learning_rate(compiled(keras.optimizers.MultiOptimizer(still)), (X, Y))


@pytest.mark.parametrize(
    ("data", "error", "match"),
    [
        (lambda: ((X, Y) for _ in range(3)), ValueError, "got a generator, whose batches"),
        (lambda: iter([(X, Y)]), ValueError, "more than once; got a list_iterator"),
        (lambda: X, TypeError, "must be a tuple"),
        (lambda: [X, Y], TypeError, "must be a tuple"),
        (lambda: {"x": X}, TypeError, "must be a tuple"),
        (lambda: 3, TypeError, "must be a tuple.*got int"),
        (lambda: [], ValueError, "at least one batch"),
        (lambda: (X[:0], Y[:0]), ValueError, "at least one batch"),
        (lambda: (X, Y[:5]), ValueError, "as many samples.*48.*5"),
        (lambda: (X, 3), ValueError, "must hold arrays"),
    ],
)
def test_data_that_are_refused(data, error, match):
    with pytest.raises(error, match=match):
        find_learning_rate(compiled(), data())


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"min_lr": 0}, "`min_lr` must be a finite number above 0; got 0"),
        ({"min_lr": 1.0, "max_lr": 1.0}, "`max_lr` must be a finite number above 1.0"),
        ({"num_steps": 9}, "`num_steps` must be a whole number of at least 10"),
        ({"batch_size": 0}, "`batch_size`"),
        ({"smoothing": 1.0}, "`smoothing` must be below 1; got 1.0"),
        ({"smoothing": -0.1}, "`smoothing` must be a finite number of at least 0"),
        ({"seed": -1}, "`seed`"),
        ({"verbose": 2}, "`verbose`"),
    ],
)
def test_bad_arguments(arguments, match):
    with pytest.raises(ValueError, match=match):
        find_learning_rate(compiled(), (X, Y), **arguments)


def test_losses_that_suggest_nothing():
    model, (x, y) = line()
    before = state_of(model)
    with pytest.raises(ValueError, match=r"got 0: at 1e-06 the loss had diverged.*NaN"):
        find_learning_rate(model, (x, np.full_like(y, np.nan)))
    with pytest.raises(ValueError, match=r"needs 10 losses.*Lower `min_lr`"):
        find_learning_rate(model, (x, y), min_lr=2.0)
    with pytest.raises(ValueError, match=r"must fall as the rate rises.*lowest, 0, at 1e-06"):
        find_learning_rate(model, (x, y * 0), verbose=0)
    assert same(before, state_of(model))


def test_a_train_step_without_a_loss(monkeypatch):
    model = compiled()
    monkeypatch.setattr(model, "train_on_batch", lambda *_, **__: {"score": 1.0})
    with pytest.raises(ValueError, match="must return 'loss'; got score"):
        find_learning_rate(model, (X, Y))
