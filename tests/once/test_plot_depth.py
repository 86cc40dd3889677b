"""plot_depth shows the accuracies by depth, with intervals where there are any."""

from types import SimpleNamespace

import matplotlib.pyplot
import numpy as np
import pytest

from keras_dcnn.fine_tuning.similarity import Similarity
from keras_dcnn.visualization.plot_depth import plot_depth

pytestmark = pytest.mark.usefixtures("close_figures")

NAMES, ACCURACIES = ("stem", "block1", "head"), (0.4, 0.8, 0.7)
INTERVALS = ((0.3, 0.5), (0.7, 0.9), (0.6, 0.8))


def test_similarity_has_intervals():
    found = Similarity(
        *("different", "it is", -0.3, 1.2, NAMES, ACCURACIES, INTERVALS),
        num_samples=90,
        num_classes=3,
    )
    ax = plot_depth(found, title="mine")
    lines = {line.get_label(): line.get_xydata() for line in ax.lines}
    np.testing.assert_allclose(lines["of a depth"], [[0, 0.4], [1, 0.8], [2, 0.7]])
    assert lines["best, 0.800"].tolist() == [[1, 0.8]]
    assert [text.get_text() for text in ax.get_xticklabels()] == list(NAMES)
    (band,) = ax.collections
    outline = band.get_paths()[0].vertices
    assert {(0, 0.3), (0, 0.5), (2, 0.6), (2, 0.8)} <= set(map(tuple, outline.tolist()))
    assert ax.get_title() == "mine"


def test_a_probe_of_several_depths_stands_apart_and_what_was_taken_is_marked():
    names = (*NAMES, "all 3", "all 3, 10% of the features")
    result = SimpleNamespace(names=names, accuracies=(*ACCURACIES, 0.9, 0.85), layer="block1")
    lines = {line.get_label(): line.get_xydata().tolist() for line in plot_depth(result).lines}
    assert lines["of a depth"] == [[0, 0.4], [1, 0.8], [2, 0.7]]
    assert lines["of several"] == [[3, 0.9], [4, 0.85]]
    assert lines["taken, 0.800"] == [[1, 0.8]]


def test_a_probe_of_one_layer_and_given_axes():
    _, ax = matplotlib.pyplot.subplots()
    result = SimpleNamespace(names=("head",), accuracies=np.array([0.5]))
    assert plot_depth(result, ax) is ax
    assert len(ax.collections) == 0
    assert ax.lines[0].get_xydata().tolist() == [[0, 0.5]]


@pytest.mark.parametrize("result", [{"names": 1}, SimpleNamespace(names=("a",), accuracies=())])
def test_other_things_are_refused(result):
    with pytest.raises(TypeError, match=r"what measure_similarity or linear_probe returned.*; got"):
        plot_depth(result)
