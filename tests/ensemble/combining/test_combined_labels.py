"""Several labels: each is combined and judged on its own; samples of weight 0 count for nothing."""

import keras
import numpy as np
import pytest
from scipy import special
from sklearn import metrics

from keras_dcnn.ensemble import Ensemble, calibration

rng = np.random.default_rng(0)
X = rng.normal(size=(30, 4)).astype("float32")
Y = (X[:, :3] > [0, 0.5, 1]).astype("uint8")
WEIGHTS = np.arange(30) % 3


def members(activation="sigmoid"):
    return [
        keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation)]) for _ in range(3)
    ]


def each(models, x=X):
    return np.stack([keras.ops.convert_to_numpy(m(x)) for m in models]).astype("float64")


@pytest.mark.every_backend
def test_each_way_to_combine_is_judged_label_by_label():
    models = members()
    p = each(models)
    z = special.logit(p).mean(0)
    expected = {
        "probability": p.mean(0),
        "geometric": special.expit(z),
        "vote": (p > 0.5).mean(0),
    }
    found = Ensemble(models).calibration(X, Y, class_names=["a", "b", "c"])
    assert set(found) == set(expected)
    for how, q in expected.items():
        assert found[how].brier == pytest.approx(np.square(q - Y).mean(), rel=1e-4)
        assert found[how].accuracy == pytest.approx(1 - metrics.hamming_loss(Y, q > 0.5))
        assert found[how].classes["b"].brier == pytest.approx(np.square(q - Y)[:, 1].mean(), 1e-4)
    raw = members("linear")
    nll = metrics.log_loss(Y.ravel(), special.expit(each(raw).mean(0)).ravel())
    assert Ensemble(raw, "logit").calibration(X, Y)["logit"].nll == pytest.approx(nll, rel=1e-4)
    with pytest.raises(ValueError, match="sum to 1, as of a softmax"):
        Ensemble(members("softmax")).calibration(X, Y)


def test_the_spread_of_small_batches_is_that_of_all():
    ensemble = Ensemble(members())
    whole, parts = ensemble.predict_spread(X), ensemble.predict_spread(X, batch_size=1)
    np.testing.assert_allclose(whole.entropy, parts.entropy, rtol=1e-5)
    assert whole.entropy.max() <= np.log(2)


def test_samples_of_weight_0_count_for_nothing():
    class Weighted(keras.utils.PyDataset):
        num_batches = 3

        def __getitem__(self, i):
            batch, counts = slice(10 * i, 10 * i + 10), WEIGHTS[:, None] > 0
            x, y = np.where(counts, X, np.nan), np.where(counts, Y, 255)
            return x[batch], y[batch], WEIGHTS[batch]

    models = members()
    found = Ensemble(models).calibration(Weighted())["probability"]
    kept = WEIGHTS > 0
    expected = calibration(Y[kept], each(models)[:, kept].mean(0), sample_weight=WEIGHTS[kept])
    assert found.nll == pytest.approx(expected.nll, rel=1e-5)
    assert found.ece == pytest.approx(expected.ece, abs=1e-5)
