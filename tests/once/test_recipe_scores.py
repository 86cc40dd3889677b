"""Scores with intervals, and from which probability on a class is to be reckoned with."""

import json

import numpy as np
import pytest
from PIL import Image

from keras_dcnn.recipes._pictures import draw_pictures
from keras_dcnn.recipes._scores import Scores, sure_from
from keras_dcnn.recipes._training import Trained

NAMES = ["cat", "dog", "lynx"]


def scores(counts, sure=None):
    """Of predictions that are certain: counts[true, said]."""
    pairs = np.repeat(np.argwhere(np.ones_like(counts)), np.ravel(counts), axis=0)
    return Scores(pairs[:, 0], np.eye(3)[pairs[:, 1]] * 0.97 + 0.01, NAMES, sure)


def test_500_to_5_images_are_not_sold_as_99_percent():
    found = scores(np.array([[500, 0, 0], [4, 1, 0], [0, 0, 0]])).as_dict()
    assert found["accuracy"]["value"] == pytest.approx(501 / 505)
    assert found["majority_share"] == pytest.approx(500 / 505)
    assert found["largest_class"] == "cat"
    assert found["balanced_accuracy"]["value"] == pytest.approx((1 + 1 / 5) / 2)
    assert found["chance"] == 0.5
    assert found["recall"]["dog"]["found"] == 1
    assert "lynx" not in found["recall"]
    text = scores(np.array([[500, 0, 0], [5, 0, 0], [0, 0, 0]])).text()
    assert "always 'cat'" in text
    assert max(map(len, text.splitlines())) <= 60
    json.dumps(found, allow_nan=False)


def test_intervals_are_wilsons():
    """https://en.wikipedia.org/wiki/Binomial_proportion_confidence_interval"""
    found = scores(np.array([[9, 1, 0], [2, 18, 0], [0, 0, 2]])).as_dict()["accuracy"]
    n, p, z = 32, 29 / 32, 1.959964
    middle, arm = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert found["low"] == pytest.approx((middle - arm) / (1 + z**2 / n), rel=1e-5)
    assert found["high"] == pytest.approx((middle + arm) / (1 + z**2 / n), rel=1e-5)


def test_the_right_class_is_reckoned_with_in_nine_of_ten_new_images():
    """The guarantee of split conformal prediction, over draws of the held-out images."""
    rng = np.random.default_rng(0)

    def draw(count):
        y = rng.integers(0, 3, count)
        logits = rng.normal(size=(count, 3)) + 1.5 * np.eye(3)[y]
        p = np.exp(2 * logits)  # surer than it should be
        return y, p / p.sum(1, keepdims=True)

    covered = []
    for _ in range(400):
        threshold = sure_from(*draw(39))
        y, p = draw(100)
        covered.append((p[np.arange(100), y] >= threshold).mean())
    assert np.mean(covered) == pytest.approx(0.9, abs=0.01)  # ⌊40 · .1⌋ / 40 = .1


def test_too_few_held_out_images_say_nothing():
    assert sure_from(np.zeros(8, int), np.full((8, 2), 0.5)) is None
    assert sure_from(np.zeros(9, int), np.linspace(0.1, 0.9, 9)[:, None]) == pytest.approx(0.1)


def test_how_often_it_is_sure_and_right():
    p = np.array([[0.9, 0.05, 0.05], [0.6, 0.35, 0.05], [0.1, 0.85, 0.05], [0.4, 0.3, 0.3]])
    found = Scores(np.array([0, 0, 0, 2]), p, NAMES, 0.35).as_dict()["sure"]
    assert found == {"from": 0.35, "share": 0.75, "right": pytest.approx(1 / 3)}


def test_the_curves_of_a_single_epoch_are_seen(tmp_path):
    """A line of one point is nothing; the point is."""

    def coloured(name, value):
        names = ("loss", "val_loss", "accuracy", "val_accuracy")
        history = {name: [value] for name in names}
        trained = Trained(None, "from_scratch", history, None, None, [])
        (tmp_path / name).mkdir()
        draw_pictures(tmp_path / name, scores(np.eye(3, dtype=int)), trained)
        with Image.open(tmp_path / name / "training.png") as picture:
            return int((np.asarray(picture.convert("HSV"))[..., 1] > 100).sum())

    assert coloured("one", 0.7) > coloured("none", float("nan")) + 100
