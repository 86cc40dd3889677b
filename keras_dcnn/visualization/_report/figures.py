"""Figures as the page holds them: an image in the page, words for it, its numbers as CSV."""

import contextlib
import io
from typing import NamedTuple

from keras_dcnn.visualization._axes import pyplot
from keras_dcnn.visualization._report.table import Table, data_address

_SIZE = (5, 3.5)  # inches of a curve, of which two stand side by side, and one on a phone
_VECTOR_MOST = 120_000  # bytes: a larger drawing is an image of pixels
_DPI = 144
_PIXELS = 96  # of the page in an inch


class Figure(NamedTuple):
    """`alt` says in words what one sees; `wide` figures have a row to themselves."""

    title: str
    alt: str
    source: str
    width: int
    height: int
    table: Table
    file: str
    wide: bool = False


def draw(title, alt, table, plot, wide=False, photo=False):
    """The Figure of what `plot()` draws; `photo` is for images of pixels."""
    with _undisturbed():
        drawn = plot()
        figure = getattr(drawn, "figure", drawn)
        try:
            source = _as_pixels(figure) if photo else _as_vectors(figure)
            width, height = (round(_PIXELS * side) for side in figure.get_size_inches())
        finally:
            pyplot().close(figure)
    file = f"{title.lower().replace(' ', '_').replace(',', '')}.csv"
    return Figure(title, alt, source, width, height, table, file, wide)


def curve_axes():
    """New axes of the size of a curve."""
    return pyplot().subplots(figsize=_SIZE, layout="constrained")[1]


@contextlib.contextmanager
def _undisturbed():
    """No window opens, and the same figure is written as the same bytes."""
    plt = pyplot()
    with plt.ioff(), plt.rc_context({"svg.hashsalt": "keras_dcnn"}):
        yield


def _as_vectors(figure):
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    if file.tell() > _VECTOR_MOST:
        return _as_pixels(figure)
    return data_address("image/svg+xml", file.getvalue())


def _as_pixels(figure):
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=_DPI, metadata={"Software": None})
    return data_address("image/png", file.getvalue())
