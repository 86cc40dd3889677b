"""plot_batch_loss shows the losses it was given, and how far they spread."""

from types import SimpleNamespace

import numpy as np
import pytest
from figures import lines

from keras_dcnn.visualization import plot_batch_loss

pytestmark = pytest.mark.usefixtures("close_figures")

RNG = np.random.default_rng(0)


def width(ax):
    """The last width that the legend tells."""
    label = ax.collections[0].get_label()
    return float(label.rpartition(" ")[2])


@pytest.mark.parametrize("slope", [0, -1e-4, -1e-2])
def test_the_band_holds_nine_in_ten_batches_whatever_the_slope(slope):
    """For normal noise it is 2 · 1.645 standard deviations wide."""
    step = np.arange(20_000)
    losses = 300 + slope * step + RNG.normal(0, 0.5, len(step))
    losses[::100] += 1e6  # spikes do not widen it
    ax = plot_batch_loss(losses)
    assert width(ax) == pytest.approx(2 * 1.645 * 0.5, rel=0.12)
    at, smoothed = lines(ax)["smoothed"].T
    np.testing.assert_allclose(smoothed, 300 + slope * (at - 1), atol=0.2)
    assert (at[0], at[-1]) == (1, 20_000)
    assert ax.get_ylim()[1] < 400
    assert "each batch" not in lines(ax)


def test_few_batches_are_drawn_as_they_are():
    losses = RNG.random(39)
    ax = plot_batch_loss(losses)
    np.testing.assert_array_equal(lines(ax)["each batch"].T, [np.arange(1, 40), losses])
    assert len(ax.collections) == 0
    losses = np.append(RNG.random(60), [np.nan, np.inf])
    losses[5] = 1e6
    found = lines(plot_batch_loss(losses, ax))
    assert "smoothed, not finite from batch 61" in found
    assert len(found["each batch, 1 outside"]) == 60


def test_every_source_gives_the_same_curve(tmp_path):
    losses = RNG.random(100).round(6)
    path = tmp_path / "loss.csv"
    rows = [f"{i},1,{i},{loss:.6f}\n" for i, loss in enumerate(losses, 1)]
    path.write_text("step,epoch,batch,loss\n" + "".join(rows))
    points = {"step": np.arange(1, 101), "loss": losses, "low": losses, "high": losses}
    recorder = SimpleNamespace(points=lambda: points, path=None)
    expected = np.transpose([np.arange(1, 101), losses])
    for source in (losses, list(losses), path, str(path), points, recorder):
        np.testing.assert_allclose(lines(plot_batch_loss(source))["each batch"], expected)


def test_merged_points_show_their_range_or_the_file(tmp_path):
    """Means of 4 batches spread half as far: the range is of the batches themselves."""
    losses = RNG.random((100, 4))
    points = {"step": np.arange(4, 401, 4), "loss": losses.mean(1)}
    points |= {"low": losses.min(1), "high": losses.max(1)}
    ax = plot_batch_loss(points)
    assert ax.collections[0].get_label().startswith("range of 4 batches, last width ")
    assert width(ax) == pytest.approx(3 / 5, abs=0.15)  # of uniform numbers, (n − 1) / (n + 1)
    path = tmp_path / "loss.csv"
    recorder = SimpleNamespace(points=lambda: points, path=path)
    assert "each batch" not in lines(plot_batch_loss(recorder))
    rows = [f"{i},{loss}\n" for i, loss in enumerate(losses.ravel(), 1)]
    path.write_text("step,loss\n" + "".join(rows))
    assert len(lines(plot_batch_loss(recorder))["each batch"]) == 400


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("epoch,loss\n1,2\n", r"the columns step and loss; the first line of .* is 'epoch,loss'"),
        ("step,loss\n1,high\n", r"must be a file of numbers; in .*loss\.csv"),
        ("step,loss\n1,0.5\n2\n", r"must be a file of numbers"),
        ("step,loss\n", "must have a finite loss; got none"),
        ("", "the columns step and loss; the first line"),
    ],
)
def test_files_of_other_kinds(tmp_path, text, match):
    path = tmp_path / "loss.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=match):
        plot_batch_loss(path)


@pytest.mark.parametrize(
    ("curve", "kind", "match"),
    [
        (None, TypeError, "must be a CurveRecorder, its points"),
        ([[1.0, 2.0]], TypeError, "for the History of `fit` there is plot_loss"),
        (["high"], TypeError, "a list with the loss of each batch"),
        ({"loss": [1.0]}, TypeError, r"the keys 'step' and 'loss'.*got 'loss'"),
        ({"step": [1, 2], "loss": [1.0]}, ValueError, r"got the shapes \(2,\), \(1,\)"),
        ({"step": [1, 2, 1], "loss": [3.0, 2.0, 1.0]}, ValueError, "must have steps that rise"),
        ([], ValueError, "must have a finite loss; got none"),
        ([float("nan")], ValueError, "must have a finite loss; got none"),
        ("", ValueError, "`curve` must be a path"),
    ],
)
def test_other_things_are_refused(curve, kind, match):
    with pytest.raises(kind, match=match):
        plot_batch_loss(curve)
