"""LogitAdjustedCrossentropy is −log softmax(f + τ·log π), of logits and of probabilities."""

import keras
import numpy as np
import pytest
from autodiff import pull_back

from keras_dcnn.losses import LogitAdjustedCrossentropy

PRIORS = [90, 9, 1]
rng = np.random.default_rng(0)
F = rng.normal(0, 2, (6, 3)).astype("float32")
Y = np.arange(6) % 3


def softmax(f):
    e = np.exp(f - f.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def reference(y, f, tau=1.0):
    """Five lines of the paper's equation 10, for each sample."""
    pi = np.array(PRIORS) / np.sum(PRIORS)
    z = f.astype("float64") + tau * np.log(pi)
    return -np.log(np.take_along_axis(softmax(z), y[..., None], -1))[..., 0]


def losses(loss, y, outputs, **more):
    return keras.ops.convert_to_numpy(loss(y, outputs, **more))


@pytest.mark.every_backend
@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("tau", [1.0, 0.5, 3])
def test_against_the_definition(from_logits, tau):
    outputs = F if from_logits else softmax(F)
    loss = LogitAdjustedCrossentropy(PRIORS, tau, from_logits, reduction="none")
    for y in (Y, Y[:, None], np.eye(3)[Y]):
        found = losses(loss, y, outputs)
        np.testing.assert_allclose(found, reference(Y, F, tau), rtol=2e-5, atol=2e-7)
    soft = np.full((6, 3), 1 / 3)
    expected = np.mean([reference(np.full(6, k), F, tau) for k in range(3)], axis=0)
    np.testing.assert_allclose(losses(loss, soft, outputs), expected, rtol=2e-5)
    np.testing.assert_allclose(losses(loss, 2 * soft, outputs), 2 * expected, rtol=2e-5)


@pytest.mark.every_backend
@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("wrong", [3, -1, np.nan, 1.5])
def test_a_label_that_is_no_class_is_refused_or_makes_the_loss_nan(from_logits, wrong, backend):
    """Where XLA runs it can't be refused; Keras's own loss takes the sample for none on JAX."""
    loss = LogitAdjustedCrossentropy(PRIORS, 1, from_logits, reduction="none")
    y, outputs = np.append(Y[:5], wrong).astype("float32"), F if from_logits else softmax(F)
    if backend != "jax" and wrong != 1.5:
        with pytest.raises(Exception, match=r"valid range|out of bounds"):
            losses(loss, y, outputs)
        return
    assert np.isnan(losses(loss, y, outputs)).tolist() == [False] * 5 + [True]


@pytest.mark.parametrize("from_logits", [False, True])
def test_tau_0_is_the_cross_entropy_of_keras(from_logits):
    outputs = F if from_logits else softmax(F)
    own = LogitAdjustedCrossentropy(PRIORS, 0, from_logits)
    sparse = keras.losses.SparseCategoricalCrossentropy(from_logits)
    rows = keras.losses.CategoricalCrossentropy(from_logits)
    weights = rng.uniform(size=6)
    for y, keras_own in ((Y, sparse), (np.eye(3)[Y], rows)):
        expected = float(keras_own(y, outputs, sample_weight=weights))
        assert float(own(y, outputs, sample_weight=weights)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.every_backend
@pytest.mark.parametrize("from_logits", [False, True])
def test_places_of_images(from_logits):
    f, y = rng.normal(size=(2, 4, 5, 3)), rng.integers(0, 3, (2, 4, 5))
    outputs = keras.ops.convert_to_tensor(f if from_logits else softmax(f), "float32")
    loss = LogitAdjustedCrossentropy(PRIORS, from_logits=from_logits)
    for labels in (y, y[..., None], np.eye(3)[y]):
        assert float(loss(labels, outputs)) == pytest.approx(reference(y, f).mean(), rel=1e-5)
    weights = rng.uniform(size=y.shape)
    expected = np.mean(weights * reference(y, f))
    assert float(loss(y, outputs, sample_weight=weights)) == pytest.approx(expected, rel=1e-5)


def test_steps_that_are_masked_do_not_count():
    f = np.append(F[:5], [[0, 0, 0]], axis=0).reshape(2, 3, 3)
    loss = LogitAdjustedCrossentropy(PRIORS, from_logits=True)
    value = float(loss(Y.reshape(2, 3), keras.layers.Masking()(f)))
    assert value == pytest.approx(reference(Y[:5], F[:5]).mean(), rel=1e-5)


@pytest.mark.every_backend
@pytest.mark.parametrize("y", [np.array([0, 2]), np.eye(3)[[0, 2]]], ids=["numbers", "rows"])
def test_a_probability_of_0_has_a_finite_loss_and_gradient(y):
    p = np.array([[0, 0, 1], [1, 0, 0]], "float32")
    loss = LogitAdjustedCrossentropy(PRIORS, 30)
    value, slope = pull_back(lambda p: loss(y, p), p, 1.0)
    assert 0 <= keras.ops.convert_to_numpy(value) < 200
    assert np.isfinite(keras.ops.convert_to_numpy(slope)).all()


def test_gradients_behind_a_softmax_of_tensorflow_are_right_where_it_is_0(backend):
    """As Keras's own: it goes by the logits, so that a net that is sure of the wrong can learn."""
    if backend != "tensorflow":
        pytest.skip("only there Keras finds the logits behind a softmax")
    f = np.array([[200, 0, -200]], "float32")
    loss = LogitAdjustedCrossentropy(PRIORS)
    y = np.array([2])
    value, slope = pull_back(lambda f: loss(y, keras.activations.softmax(f)), f, 1.0)
    assert float(value) == pytest.approx(reference(y, f)[0], rel=1e-6)
    np.testing.assert_allclose(slope, [[1, 0, -1]], atol=1e-6)


@pytest.mark.every_backend
def test_a_compiled_training_in_half_precision(backend, tmp_path):
    """With class weights; and the loss comes back with the saved model."""
    model = keras.Sequential(
        [
            keras.Input((3,), dtype="float16"),
            keras.layers.Dense(3, "softmax", dtype="mixed_float16"),
        ]
    )
    model.set_weights([np.eye(3), np.zeros(3)])  # the logits are the input
    loss = LogitAdjustedCrossentropy(np.array(PRIORS), 2)
    model.compile("sgd", loss, jit_compile=backend != "torch")
    weights = {0: 1.0, 1: 2.0, 2: 5.0}
    value = model.train_on_batch(F, Y, class_weight=weights)
    expected = np.mean(np.array([1, 2, 5])[Y] * reference(Y, F, 2))
    assert value == pytest.approx(expected, rel=1e-2)
    model.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").loss.get_config() == loss.get_config()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([5, 0],), "`priors` must be finite and above 0; got 0 for class 1: give how many"),
        (([0.5, np.nan],), "`priors` must be finite and above 0; got nan for class 1"),
        (([5],), "one count or share for each of at least two classes"),
        (({0: 5, 1: 2},), "one count or share for each of at least two classes"),
        (([[1, 2], [3, 4]],), "one count or share for each of at least two classes"),
        ((PRIORS, -1), "`tau` must be a finite number of at least 0 .*; got -1"),
        ((PRIORS, 1, "auto"), "`from_logits` must be True or False"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        LogitAdjustedCrossentropy(*arguments)


def test_outputs_must_be_one_a_class():
    for outputs, found in ((F[:, :2], 2), (F[:, :1], 1)):
        with pytest.raises(ValueError, match=f"3 classes of `priors`; the model has {found}"):
            LogitAdjustedCrossentropy(PRIORS)(Y, outputs)
