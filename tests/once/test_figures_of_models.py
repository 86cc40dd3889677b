"""The figures of models: activations, filters, dead units, ensembles."""

import keras
import numpy as np
import pytest
from figures import lines

from keras_dcnn.callbacks import DeadUnits
from keras_dcnn.ensemble import EnsembleComparison
from keras_dcnn.layers import RReLU
from keras_dcnn.visualization import (
    plot_activations,
    plot_dead_units,
    plot_ensemble,
    plot_filters,
)

pytestmark = pytest.mark.usefixtures("close_figures")


def test_activations_and_derivatives_are_those_of_the_definitions():
    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    slopes = {"ReLU": 0, "Leaky ReLU, 0.01": 0.01, "PReLU at 0.25": 0.25, "RReLU": 2 / 11}
    expected = {
        "Sigmoid": (sigmoid, lambda x: sigmoid(x) * (1 - sigmoid(x))),
        "Tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    }
    for name, slope in slopes.items():
        expected[name] = (
            lambda x, slope=slope: np.where(x > 0, x, slope * x),
            lambda x, slope=slope: np.where(x > 0, 1, slope),
        )
    panels = {ax.get_title(): lines(ax) for ax in plot_activations().axes}
    assert list(panels) == list(expected)
    for name, (function, derivative) in expected.items():
        x, y = panels[name]["activation"].T
        np.testing.assert_allclose(y, function(x), atol=1e-5)
        x, slope = panels[name]["derivative"].T
        np.testing.assert_allclose(slope, derivative(x), atol=2e-4)


def test_the_band_of_rrelu_is_what_training_draws():
    (ax,) = plot_activations({"mine": RReLU(0.1, 0.5, "uniform")}, (-2, 2)).axes
    outputs, slopes = (band.get_paths()[0].vertices for band in ax.collections)
    at_the_left = outputs[outputs[:, 0] == -2]
    assert sorted(set(at_the_left[:, 1].round(5))) == [-1, -0.2]
    negative = slopes[slopes[:, 0] < 0]
    assert sorted(set(negative[:, 1].round(3))) == [0.1, 0.5]
    assert lines(ax)["activation"].T[1][0] == pytest.approx(-0.6)


def test_filters_are_pictures_of_their_own_contrast_unless_dead():
    layer = keras.layers.Conv2D(3, 8)
    inner = keras.Sequential([keras.Input((9, 9, 3)), keras.layers.Rescaling(2.0), layer])
    model = keras.Sequential([keras.Input((9, 9, 3)), inner])
    kernel = np.zeros((8, 8, 3, 3), "float32")
    kernel[0, 0, 0, 0], kernel[1, 2, 1, 1], kernel[0, 0, :, 2] = -2.0, 0.4, 1e-3
    layer.kernel.assign(kernel)
    ax = plot_filters(model)
    sheet = np.asarray(ax.images[0].get_array())
    assert sheet.shape == (9, 27, 3)
    assert sheet[0, 0].tolist() == [0, 0.5, 0.5]
    assert sheet[1, 9 + 2].tolist() == [0.5, 1, 0.5]
    np.testing.assert_allclose(sheet[0, 18], 0.5 + 1e-3 / 0.4)
    assert sheet[0, 8].tolist() == [1, 1, 1]


def test_filters_of_one_channel_are_grey_and_small_ones_are_enlarged():
    layer = keras.layers.Conv2D(5, 2)
    layer.build((None, 8, 8, 1))
    sheet = plot_filters(layer).images[0].get_array()
    kernel = keras.ops.convert_to_numpy(layer.kernel)[..., 0, 0]
    assert sheet.shape == (18, 27)
    np.testing.assert_allclose(sheet[3, 4], 0.5 + kernel[0, 1] / (2 * np.abs(kernel).max()), 1e-5)


def test_dead_units_by_layer():
    ax = plot_dead_units({"conv": 0.25, "a/very/long/path/of/blocks/to/the/dense": 0.5})
    assert [bar.get_width() for bar in ax.patches] == [0.25, 0.5, 0.5]  # the last is hatched
    assert [text.get_text() for text in ax.texts] == ["25 %", "50 %"]
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["conv", "…ong/path/of/blocks/to/the/dense"]
    callback = DeadUnits(np.zeros((1, 2)))
    callback.dead_unit_fractions = {"conv": 0.0}
    assert [text.get_text() for text in plot_dead_units(callback).texts] == ["0 %"]


def ensemble():
    row = {"name": "single", "accuracy": 0.9, "nll": 0.31, "ece": 0.02, "brier": 0.15}
    row |= {"seconds": 0.2, "parameters": 12_345, "note": ""}
    better = row | {"name": "uniform", "accuracy": 0.92, "nll": 0.25, "seconds": 6.0}
    none = dict.fromkeys(row, None) | {"name": "soup", "note": "of one architecture only"}
    return EnsembleComparison((row, better, none), "accuracy", 3, 600, 2000, 0)


def test_an_ensemble_has_a_panel_for_each_number():
    figure = plot_ensemble(ensemble())
    accuracy, nll, *_, seconds, parameters = figure.axes
    assert [line.get_xydata().tolist() for line in accuracy.lines] == [[[0.9, 0]], [[0.92, 1]]]
    assert [line.get_marker() for line in accuracy.lines] == ["o", "D"]
    assert [line.get_marker() for line in nll.lines] == ["o", "D"]
    assert [line.get_marker() for line in seconds.lines] == ["D", "o"]
    assert seconds.get_xscale() == "log"
    assert [text.get_text() for text in parameters.texts] == ["12.3 k", "12.3 k", "not possible"]
    assert figure.get_suptitle() == "3 models, measured on 2,000 samples"


def conv(channels):
    layer = keras.layers.Conv2D(2, 3, name="first")
    layer.build((None, 8, 8, channels))
    return layer


@pytest.mark.parametrize(
    ("function", "argument", "kind", "match"),
    [
        (plot_activations, {}, ValueError, "dict of one or more, by their titles.*got {}"),
        (plot_activations, ["relu"], ValueError, "must be a dict"),
        (plot_filters, "model", TypeError, "a Keras model or layer; got str"),
        (plot_filters, keras.layers.Dense(1), ValueError, "must have a Conv2D"),
        (plot_filters, keras.layers.Conv2D(1, 3), ValueError, "must be built"),
        (plot_filters, conv(2), ValueError, "1 channel, or 3, to be a picture; `first` takes 2"),
        (plot_dead_units, [0.5], TypeError, "a dict with a share for each layer; got list"),
        (plot_dead_units, {}, ValueError, "train with it first"),
        (plot_dead_units, {"conv": 40}, ValueError, "from 0 to 1; got 40 for 'conv'"),
        (plot_ensemble, {}, TypeError, "an EnsembleComparison; got dict"),
    ],
)
def test_bad_arguments(function, argument, kind, match):
    with pytest.raises(kind, match=match):
        function(argument)
