"""recalibrate_batch_norm: the statistics of the data, by NumPy, and nothing else."""

import keras
import numpy as np
import pytest
from ensemble.averaged import X, Y, bits, compile_for_tests, everything, network

from keras_dcnn.callbacks import WeightAveraging
from keras_dcnn.ensemble.averaging.average_checkpoints import average_checkpoints
from keras_dcnn.ensemble.averaging.recalibrate_batch_norm import recalibrate_batch_norm


def hidden(model, x):
    kernel, bias = (w.astype("float64") for w in model.get_layer("hidden").get_weights())
    return np.tanh(x @ kernel + bias)


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, i):
        return X[8 * i : 8 * i + 8], Y[8 * i : 8 * i + 8]


def split():
    return [(X[i : i + 8], Y[i : i + 8]) for i in (0, 8, 16)]


@pytest.mark.parametrize(
    "data", [X, (X, Y), Batches(workers=1), iter(split())], ids=["array", "pair", "py", "generator"]
)
def test_statistics_are_those_of_the_data(data):
    model = network()
    before = model.get_weights()
    recalibrate_batch_norm(model, data)
    mean, variance = model.get_layer("norm").get_weights()[2:]
    np.testing.assert_allclose(mean, hidden(model, X).mean(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(variance, hidden(model, X).var(0), rtol=1e-3, atol=1e-6)
    changed = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert changed == [False] * 4 + [True] * 2 + [False] * 2


def test_a_torch_loader_draws_nothing_from_the_global_random_state():
    if keras.backend.backend() != "torch":
        pytest.skip("the state of PyTorch's random numbers is kept where Keras draws from it")
    import torch

    pairs = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
    data = torch.utils.data.DataLoader(pairs, batch_size=8, shuffle=True)
    model, state = network(), torch.get_rng_state()
    next(iter(data))
    assert not torch.equal(torch.get_rng_state(), state)  # as a loader does by itself
    torch.set_rng_state(state)
    recalibrate_batch_norm(model, data)
    assert torch.equal(torch.get_rng_state(), state)
    mean = model.get_layer("norm").get_weights()[2]
    np.testing.assert_allclose(mean, hidden(model, X).mean(0), rtol=1e-4, atol=1e-6)


def test_dropout_seeds_and_optimizer_stay():
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dropout(0.5),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(3, "softmax"),
        ]
    )
    compile_for_tests(model)
    model.fit(X, Y, verbose=0)
    statistics = model.layers[1].get_weights()[2:]
    before = everything(model)
    recalibrate_batch_norm(model, X)
    fresh = model.layers[1].get_weights()[2:]
    assert not np.array_equal(statistics[0], fresh[0])
    model.layers[1].set_weights([*model.layers[1].get_weights()[:2], *statistics])
    assert bits(everything(model)) == bits(before)


def failing():
    yield X[:8]
    raise OSError("the disk is gone")


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (lambda: np.where(X > 5, np.nan, X), ValueError, "the data must be finite.*moving_mean"),
        (failing, OSError, "the disk is gone"),
        (lambda: iter([]), ValueError, "at least one batch"),
        (lambda: 3, TypeError, "an array or an iterable"),
    ],
)
def test_on_an_error_the_model_is_as_it_was(data, error, message):
    model = network()
    before = everything(model)
    with pytest.raises(error, match=message):
        recalibrate_batch_norm(model, data())
    assert bits(everything(model)) == bits(before)


def siamese():
    """One BatchNorm for both halves of the inputs."""
    inputs = keras.Input((4,))
    norm = keras.layers.BatchNormalization(name="shared")
    halves = [norm(inputs[:, :2]), norm(inputs[:, 2:])]
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax")(keras.layers.add(halves)))
    compile_for_tests(model)
    return model


@pytest.mark.parametrize("choice", ["recalibrate", "recompute", "best"])
def test_a_layer_called_twice_is_refused(choice):
    model = siamese()
    model.evaluate(X, Y, verbose=0)  # builds the optimizer on JAX
    before = everything(model)
    if choice == "recalibrate":
        run, arguments = recalibrate_batch_norm, (model, X)
    else:
        run, arguments = average_checkpoints, (model, [siamese()], None, choice, X, (X, Y))
    with pytest.raises(ValueError, match="`shared` is called 2 times: use 'average'"):
        run(*arguments)
    assert bits(everything(model)) == bits(before)
    average_checkpoints(model, [siamese()], None, "keep", X, (X, Y))


def test_weight_averaging_refuses_a_layer_called_twice():
    averaging = WeightAveraging(start=0.0, batch_norm="recompute", data=X)
    with pytest.raises(ValueError, match="`shared` is called 2 times"):
        siamese().fit(X, Y, callbacks=[averaging], verbose=0)


def test_a_layer_that_two_models_share_is_called_once_in_each():
    shared, model = network(), network()
    both = keras.Sequential([keras.Input((4,)), *shared.layers[:2]])
    recalibrate_batch_norm(both, X)
    recalibrate_batch_norm(model, X)
    for got, value in zip(both.get_weights(), model.get_weights(), strict=False):
        np.testing.assert_array_equal(got, value)


@pytest.mark.parametrize("how", ["frozen", "frozen renorm", "inference"])
def test_statistics_that_training_leaves_alone_stay_bit_for_bit(how):
    kept = keras.layers.BatchNormalization(renorm=how.endswith("renorm"))
    fresh = keras.layers.BatchNormalization()

    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.kept, self.fresh = kept, fresh

        def call(self, x, training=None):
            hidden = kept(x, training=training and how != "inference")
            return fresh(hidden, training=training)

    model = Model()
    model(X)
    large = [np.full(w.shape, 123456.7) for w in kept.weights]
    large[3] = np.array([1e-5, 1e-6, 1e-7, 3e-5])  # lost beside the square of the mean
    kept.set_weights(large)
    kept.trainable = how == "inference"
    before, stale = bits(kept.get_weights()), bits(fresh.get_weights())
    recalibrate_batch_norm(model, X)
    assert bits(kept.get_weights()) == before
    assert bits(fresh.get_weights()) != stale


def test_nothing_to_do_warns():
    with pytest.warns(UserWarning, match="has no BatchNorm changes nothing"):
        recalibrate_batch_norm(network(norm=False), X)
    frozen = network()
    frozen.get_layer("norm").trainable = False
    before = everything(frozen)
    with pytest.warns(UserWarning, match="only frozen BatchNorm changes nothing"):
        recalibrate_batch_norm(frozen, X)
    assert bits(everything(frozen)) == bits(before)

    class Inference(keras.Model):
        def __init__(self):
            super().__init__()
            self.norm = keras.layers.BatchNormalization()

        def call(self, x):
            return self.norm(x, training=False)

    model = Inference()
    model(X)
    before = model.get_weights()
    with pytest.warns(UserWarning, match="calls BatchNorm in inference mode only changes nothing"):
        recalibrate_batch_norm(model, X)
    assert bits(model.get_weights()) == bits(before)


def test_bad_models():
    with pytest.raises(TypeError, match="must be a Keras model; got str"):
        recalibrate_batch_norm("model", X)
    with pytest.raises(ValueError, match="must be built"):
        recalibrate_batch_norm(keras.Sequential([keras.layers.BatchNormalization()]), X)


@pytest.mark.parametrize(
    "batches",
    [
        lambda: [X[:5], X[5:9], X[9:]],
        lambda: [(X[:5], Y[:5]), (X[5:], Y[5:])],
        lambda: [[X[:5], Y[:5]], [X[5:], Y[5:]]],
        lambda: [X],
    ],
)
def test_of_a_list_of_batches_all_are_read(batches):
    model = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization()])
    recalibrate_batch_norm(model, batches())
    np.testing.assert_allclose(model.layers[0].moving_mean, X.mean(0), rtol=1e-5)
    np.testing.assert_allclose(model.layers[0].moving_variance, X.var(0), rtol=1e-5)


def test_a_list_may_be_the_inputs_of_a_model():
    inputs = [keras.Input((4,)), keras.Input((4,))]
    norm = keras.layers.BatchNormalization()
    model = keras.Model(inputs, norm(keras.layers.Add()(inputs)))
    for data in ([X, X], [([X[:5], X[:5]], Y[:5]), ([X[5:], X[5:]], Y[5:])]):
        recalibrate_batch_norm(model, data)
        np.testing.assert_allclose(norm.moving_mean, 2 * X.mean(0), rtol=1e-5)
    with pytest.raises(ValueError, match=r"each of the 2 inputs .* got 3 arrays"):
        recalibrate_batch_norm(model, [X, X, X])
    with pytest.raises(ValueError, match="inputs with their labels are a tuple"):
        recalibrate_batch_norm(network(), [X, Y])


@pytest.mark.every_backend
def test_what_is_masked_or_has_weight_0_counts_for_nothing():
    rng = np.random.default_rng(0)
    weights = (np.arange(24) % 3).astype("float32")
    model = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization()])
    recalibrate_batch_norm(model, (X, Y, weights))
    np.testing.assert_allclose(model.layers[0].moving_mean, X[weights > 0].mean(0), rtol=1e-5)
    x, lengths = rng.normal(2, 3, (12, 5, 2)).astype("float32"), [1] * 6 + [5] * 6
    for i, length in enumerate(lengths):
        x[i, length:] = 0
    inputs = keras.Input((5, 2))
    norm = keras.layers.BatchNormalization()
    model = keras.Model(inputs, norm(keras.layers.Masking()(inputs)))
    recalibrate_batch_norm(model, [x[:6], x[6:]])
    kept = x[(x != 0).any(-1)]
    np.testing.assert_allclose(norm.moving_mean, kept.mean(0), rtol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, kept.var(0), rtol=1e-5)
