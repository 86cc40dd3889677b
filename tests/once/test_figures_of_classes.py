"""The figures of classes: how many samples, which are taken for which, the worst images."""

import matplotlib.pyplot
import numpy as np
import pytest

from keras_dcnn.visualization import plot_class_balance, plot_confusion, plot_worst_images

pytestmark = pytest.mark.usefixtures("close_figures")

Y = [0, 0, 0, 0, 1, 1, 2]
SAID = [0, 0, 0, 1, 1, 0, 0]
NAMES = ["cat", "dog", "$5 bill of the $100 kind, worn"]


def texts(artists):
    return [artist.get_text() for artist in artists]


def test_balance_of_few_classes_is_bars():
    ax = plot_class_balance([1, 1, 1, 0, 2, 2], [*NAMES, "unseen"], title="mine")
    assert [bar.get_width() for bar in ax.patches] == [3, 2, 1, 0]
    assert texts(ax.texts) == ["3", "2", "1", "0"]
    assert texts(ax.get_yticklabels()) == ["dog", r"\$5 bill of the \$100 kin…", "cat", "unseen"]
    assert ax.get_xlabel() == "samples\nno samples of 1 of 4 classes"
    assert ax.get_title() == "mine"
    ax.figure.draw_without_rendering()  # and the dollars are no formula


def test_balance_of_classes_far_apart_is_dots_on_a_log_axis():
    ax = plot_class_balance(np.repeat([0, 1, 3], [2, 70, 8]), [*"abcd"])
    assert ax.get_xscale() == "log"
    (dots,) = ax.lines
    assert dots.get_xydata().tolist() == [[70, 0], [8, 1], [2, 2]]
    assert texts(ax.texts) == ["70", "8", "2", "0"]
    assert plot_class_balance(np.repeat([0, 1], [30, 1])).get_xscale() == "linear"


def test_balance_of_many_classes_is_one_curve():
    counts = np.arange(1, 101)
    ax = plot_class_balance(np.repeat(np.arange(100), counts))
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), counts[::-1])
    assert texts(ax.texts) == ["class 99: 100", "class 49: 50", "class 0: 1"]
    assert "largest : smallest = 100 : 1" in ax.get_ylabel()


def test_confusion_of_counts_and_of_rows():
    ax = plot_confusion(Y, SAID, NAMES)
    np.testing.assert_allclose(
        ax.images[0].get_array(), [[0.75, 0.25, 0], [0.5, 0.5, 0], [1, 0, 0]]
    )
    cells = {text.get_position(): text.get_text() for text in ax.texts}
    assert cells == {(0, 0): "3", (1, 0): "1", (0, 1): "1", (1, 1): "1", (0, 2): "1"}
    assert texts(ax.get_yticklabels())[:2] == ["cat (4)", "dog (2)"]
    rows = plot_confusion(Y, np.eye(3)[SAID], NAMES, normalize="row")
    assert texts(rows.texts) == ["75 %", "25 %", "50 %", "50 %", "100 %"]


def test_a_class_without_samples_has_a_row_of_nothing():
    ax = plot_confusion([0, 0], [0, 2])
    np.testing.assert_array_equal(ax.images[0].get_array()[1:], np.zeros((2, 3)))
    assert texts(ax.get_yticklabels()) == ["0 (2)", "1 (0)", "2 (0)"]


def test_confusion_of_many_classes_says_the_commonest_mistakes():
    y = np.repeat(np.arange(150), 4)
    said = np.where(np.arange(600) % 4 < 2, y, 7)
    said[:4] = 9
    ax = plot_confusion(y, said)
    assert len(ax.texts) == 0
    assert ax.get_xlabel().splitlines()[1:3] == ["the commonest mistakes:", "0 taken for 9: 4"]
    assert len(ax.get_yticks()) < 150
    assert plot_confusion(y, y).get_xlabel() == "predicted class"


def test_axes_that_are_given_are_taken():
    _, ax = matplotlib.pyplot.subplots()
    assert plot_confusion(Y, SAID, ax=ax) is ax
    _, ax = matplotlib.pyplot.subplots()
    assert plot_class_balance(Y, ax=ax) is ax


def test_the_worst_images_come_first_with_what_was_said():
    x = np.arange(4, dtype="float32").reshape(4, 1, 1, 1) * np.ones((4, 6, 5, 3)) * 50
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.97, 0.03], [0.4, 0.6]])
    figure = plot_worst_images(x, [0, 1, 1, 0], p, ["cat", "dog"], num_images=3)
    shown = [ax for ax in figure.axes if ax.images]
    assert [ax.get_title(loc="left").splitlines() for ax in shown] == [
        ["number 2", "is dog, 3 %", "said cat, 97 %"],
        ["number 3", "is cat, 40 %", "said dog, 60 %"],
        ["number 1", "is dog, 80 %", "said dog, 80 %"],
    ]
    np.testing.assert_allclose(shown[0].images[0].get_array(), x[2] / 255, rtol=1e-6)
    assert len(plot_worst_images(x, [0, 1, 1, 0], p).axes) == 4


@pytest.mark.parametrize(
    ("predictions", "shares"),
    [
        ([[2.0, 0.0], [0.0, 1.0]], ["88 %", "73 %"]),  # 1 / (1 + e⁻²), 1 / (1 + e⁻¹)
        ([-2.0, 1.0], ["88 %", "73 %"]),
        ([[0.12], [0.73]], ["88 %", "73 %"]),
        ([[800.0, 0.0], [-800.0, 0.0]], ["100 %", "100 %"]),
    ],
)
def test_probabilities_of_logits_and_of_one_sigmoid(predictions, shares):
    figure = plot_worst_images(np.zeros((2, 3, 3, 1)), [0, 1], np.array(predictions))
    titles = sorted(ax.get_title(loc="left") for ax in figure.axes)
    assert [title.splitlines()[1].split(", ")[1] for title in titles] == shares


@pytest.mark.parametrize(
    ("function", "arguments", "match"),
    [
        (plot_class_balance, ([],), "at least one sample"),
        (plot_class_balance, ([0.5],), "whole numbers from 0; got 0.5"),
        (plot_class_balance, ([0, 3], ["a", "b"]), "a name for each class, 4 or more; got 2"),
        (plot_class_balance, ([0, 1], "ab"), "must be a list with a name"),
        (plot_confusion, (Y, SAID, NAMES, "column"), "one of None, 'row'; got 'column'"),
        (plot_confusion, (Y, SAID[1:]), "equally many samples, one or more; got 7 and 6"),
        (plot_worst_images, (np.zeros((7, 2, 2, 1)), Y, SAID), "got classes, int64: give what"),
        (plot_worst_images, (np.zeros((3, 2, 2, 1)), [0], [[1.0, 0]]), "each of 1 labels; got 3"),
        (plot_worst_images, (None, [0], [[1.0, 0]]), "each of 1 labels; got NoneType"),
        (plot_worst_images, (np.zeros((1, 2, 2)), [0], [[1.0, 0]]), r"one of shape \(2, 2\)"),
        (
            plot_worst_images,
            (np.zeros((1, 2, 2, 1)), [0], [[1.0, 0]], None, 0),
            "`num_images` must be a whole number of at least 1; got 0",
        ),
    ],
)
def test_bad_arguments(function, arguments, match):
    with pytest.raises(ValueError, match=match):
        function(*arguments)
