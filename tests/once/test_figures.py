"""The figures show the numbers that they were given."""

import dataclasses

import keras
import numpy as np
import pytest
from figures import lines

from keras_dcnn.diagnosis import LearningRateCurve
from keras_dcnn.layers import FancyPCA, RandomHSV
from keras_dcnn.visualization import (
    plot_accuracy_gap,
    plot_augmentation,
    plot_learning_rate,
    plot_loss,
)

pytestmark = pytest.mark.usefixtures("close_figures")

HISTORY = {
    "loss": [3.0, 2.0, 1.0, 0.5],
    "val_loss": [3.1, 2.2, 1.6, 1.5],
    "accuracy": [0.1, 0.4, 0.7, 0.9],
    "val_accuracy": [0.1, 0.3, 0.5, 0.6],
    "learning_rate": [0.1, 0.1, 0.05, 0.01],
}


def test_plot_loss():
    ax = plot_loss(HISTORY)
    np.testing.assert_array_equal(lines(ax)["training"][:, 1], HISTORY["loss"])
    np.testing.assert_array_equal(lines(ax)["validation"][:, 1], HISTORY["val_loss"])
    np.testing.assert_array_equal(lines(ax)["training"][:, 0], [1, 2, 3, 4])
    cuts = sorted(line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 2)
    assert cuts == [2.5, 3.5]
    assert [text.get_text() for text in ax.texts] == ["0.05", "0.01"]
    one = plot_loss({"loss": [1.0]})
    assert len(one.lines) == 1
    assert one.lines[0].get_marker() == "o"


def test_many_cuts_are_thinned_to_the_deepest():
    rates = [0.1 * 0.99**epoch * (0.1 if epoch >= 50 else 1) for epoch in range(100)]
    ax = plot_loss({"loss": np.linspace(2, 1, 100), "learning_rate": rates})
    cuts = [line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 2]
    assert 50.5 in cuts
    assert 4 < len(cuts) < 20
    assert min(np.diff(sorted(cuts))) > 5
    assert f"learning rate cut to ({len(cuts)} of 99 cuts)" in lines(ax)


def test_the_legend_lies_above_the_axes():
    ax = plot_loss(HISTORY)
    ax.figure.draw_without_rendering()
    legend, whole = ax.get_legend().get_window_extent(), ax.figure.bbox
    assert ax.get_window_extent().y1 <= legend.y0 < legend.y1 < whole.y1
    assert whole.x0 < legend.x0 < legend.x1 < whole.x1


def test_in_a_figure_that_makes_no_room_the_legend_stays_inside():
    import matplotlib.pyplot

    figure, ax = matplotlib.pyplot.subplots()
    assert plot_accuracy_gap(HISTORY, ax=ax) is ax
    figure.draw_without_rendering()
    assert ax.get_legend().get_window_extent().y1 < ax.get_window_extent().y1


def test_a_loss_that_explodes_or_is_lost():
    nan = float("nan")
    ax = plot_loss({"loss": [1.0, nan, 0.5, nan, nan], "val_loss": [1.0, 1.0, 1.0, 1.0, 1e9]})
    np.testing.assert_array_equal(
        lines(ax)["training, not finite from epoch 4"], [[1, 1.0], [3, 0.5]]
    )
    assert ax.get_yscale() == "log"
    assert plot_loss(HISTORY).get_yscale() == "linear"
    assert "training, not finite from epoch 1" in lines(plot_loss({"loss": [nan]}))
    gap = plot_accuracy_gap({"accuracy": [0.75, nan], "val_accuracy": [0.5, 0.5]})
    assert gap.get_legend_handles_labels()[1][-1] == "gap, last +0.250"


def test_no_setting_of_matplotlib_changes():
    import matplotlib

    before = dict(matplotlib.rcParams)
    plot_loss(HISTORY), plot_accuracy_gap(HISTORY)
    assert dict(matplotlib.rcParams) == before


def test_plot_accuracy_gap():
    ax = plot_accuracy_gap(HISTORY, title="mine")
    np.testing.assert_array_equal(lines(ax)["validation"][:, 1], HISTORY["val_accuracy"])
    assert "gap, last +0.300" in [text.get_text() for text in ax.get_legend().get_texts()]
    assert ax.get_title() == "mine"


def test_validation_of_every_other_epoch():
    history = {**HISTORY, "val_loss": [2.2, 1.5], "val_accuracy": [0.3, 0.6]}
    np.testing.assert_array_equal(lines(plot_loss(history))["validation"], [[2, 2.2], [4, 1.5]])
    ax = plot_accuracy_gap(history)
    np.testing.assert_array_equal(lines(ax)["validation"], [[2, 0.3], [4, 0.6]])
    assert "gap, last +0.300" in [text.get_text() for text in ax.get_legend().get_texts()]
    with pytest.raises(ValueError, match=r"'val_loss' must have.*it has 1 for 4 epochs: put nan"):
        plot_loss({**HISTORY, "val_loss": [1.5]})


def test_plot_learning_rate():
    rates, losses, smoothed = (0.01, 0.1, 1.0, 10.0), (2.0, 1.6, 0.5, 1e9), (2.0, 1.8, 1.1, 1e8)
    curve = LearningRateCurve(rates, losses, smoothed, 1.0, 0.1, True)
    ax = plot_learning_rate(curve)
    np.testing.assert_array_equal(lines(ax)["smoothed"], np.transpose([rates, smoothed]))
    np.testing.assert_array_equal(lines(ax)["of a batch"], np.transpose([rates, losses]))
    assert lines(ax)["valley, 0.1"].tolist() == [[0.1, 1.8]]
    assert lines(ax)["steepest, 1"].tolist() == [[1.0, 1.1]]
    assert ax.get_xscale() == "log"
    assert ax.get_ylim()[0] < 0.5 < 2.0 < ax.get_ylim()[1] < 3
    assert len(plot_learning_rate(curve, ax).lines) == 8


def test_learning_rates_that_are_one_or_none():
    curve = LearningRateCurve((0.01, 0.1, 1.0), (2.0, 1.0, 9.0), (2.0, 1.4, 5.0), 0.1, 0.1, False)
    assert lines(plot_learning_rate(curve))["valley and steepest, 0.1"].tolist() == [[0.1, 1.4]]
    assert "0.1 (valley and steepest descent)." in str(curve)
    none = dataclasses.replace(curve, steepest=None, valley=None)
    assert "no rate suggested" in lines(plot_learning_rate(none))


def test_plot_augmentation_shows_originals_and_draws():
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), dtype="uint8")
    figure = plot_augmentation([FancyPCA(1.0, "stddev"), RandomHSV()], images, draws=3)
    shown = [ax.images[0].get_array() for ax in figure.axes]
    assert len(shown) == 4 * 4
    np.testing.assert_allclose(shown[0], images[0] / 255, atol=1e-6)
    assert np.abs(shown[1] - shown[2]).max() > 0.01


def test_bad_arguments():
    with pytest.raises(ValueError, match="must hold 'loss'; it holds accuracy"):
        plot_loss({"accuracy": [1.0]})
    for none in ({}, {"loss": []}, keras.callbacks.History()):
        with pytest.raises(ValueError, match="must hold 'loss'; it holds no epochs"):
            plot_loss(none)
    for wrong in (None, [1, 2], {"loss": 0.5}):
        with pytest.raises(TypeError, match=r"must be a keras\.callbacks\.History, or a dict"):
            plot_loss(wrong)
    with pytest.raises(ValueError, match=r"'loss' of the history must be a list of numbers; got"):
        plot_loss({"loss": ["high", "low"]})
    with pytest.raises(TypeError, match="LearningRateCurve; got dict"):
        plot_learning_rate(HISTORY)
    with pytest.raises(ValueError, match="grey ones as"):
        plot_augmentation(RandomHSV(), np.zeros((2, 4, 4, 1)))
    with pytest.raises(ValueError, match=r"low < high.*got \(1, 1\)"):
        plot_augmentation(RandomHSV(), np.zeros((1, 4, 4, 3)), value_range=(1, 1))
    with pytest.raises(ValueError, match="must hold 'val_accuracy'"):
        plot_accuracy_gap({"accuracy": [1.0]})
    with pytest.raises(ValueError, match=r"\(n, height, width, 3\); got \(4, 4, 3\)"):
        plot_augmentation(RandomHSV(), np.zeros((4, 4, 3)))
