"""plot_ensemble: what each way to use a pool of models gives, number by number."""

from typing import Any

from keras_dcnn.ensemble.ensemble_comparison import COLUMNS, EnsembleComparison
from keras_dcnn.visualization._axes import axes, pyplot
from keras_dcnn.visualization._style import COLOURS, SMALL

_HIGHER = ("accuracy",)  # of the others less is better
_LOG_FROM = 10  # times that the largest is larger than the smallest


def plot_ensemble(comparison: EnsembleComparison, title: str | None = None) -> Any:
    """Plot the table of `compare_ensembles`: a panel for each number, a row for each way.

    To see at a glance what an ensemble gains over the best single model, in accuracy and in
    probabilities that can be believed, and what it costs. The best of each panel is a filled
    diamond.

    Args:
        comparison: What `ensemble.compare_ensembles` returned.
        title: Title of the figure; None says how many models, and on how many samples.

    Returns:
        The matplotlib figure.

    Raises:
        TypeError: for what is no such comparison.
        ImportError: without matplotlib.

    Example:

    ```python
    import keras_dcnn

    row = {"name": "single", "accuracy": 0.9, "nll": 0.31, "ece": 0.02, "brier": 0.15}
    row |= {"seconds": 0.2, "parameters": 12345, "note": "member 1"}
    better = row | {"name": "uniform", "accuracy": 0.92, "nll": 0.25, "seconds": 0.6}
    keras_dcnn.visualization.plot_ensemble(keras_dcnn.ensemble.EnsembleComparison(
        rows=(row, better), metric="accuracy", num_members=3, num_selected_on=600,
        num_reported_on=2000, num_shared=0,
    ))
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 8.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
    """
    if not isinstance(comparison, EnsembleComparison):
        raise TypeError(
            "`comparison` must be what compare_ensembles returned, an EnsembleComparison; got "
            f"{type(comparison).__name__}."
        )
    rows = comparison.rows
    size = (7.5, 2 * (0.26 * len(rows) + 0.75) + 0.4)
    style = {"sharey": True, "layout": "constrained", "figsize": size}
    figure, grid = pyplot().subplots(2, 3, **style)
    for ax, (key, (name, shown)) in zip(grid.flat, COLUMNS.items(), strict=True):
        values = [row[key] for row in rows]
        arrow = "higher" if key in _HIGHER else "lower"
        axes(ax, "", "", "").set_title(f"{name}\n{arrow} is better", fontsize=SMALL)
        _draw(ax, values, _short if key == "parameters" else shown.format, key in _HIGHER)
    ax.set_yticks(range(len(rows)), [row["name"] for row in rows])
    ax.set_ylim(len(rows) - 0.5, -0.6)
    models = f"{comparison.num_members} model{'s' * (comparison.num_members > 1)}"
    told = f"{models}, measured on {comparison.num_reported_on:,} samples"
    figure.suptitle(told if title is None else title)
    return figure


def _draw(ax, values, shown, higher):
    """A dot for each row with its number, a dash where there is none."""
    there = {row: value for row, value in enumerate(values) if value is not None}
    best = (max if higher else min)(there.values(), default=None)
    style = {"ha": "center", "fontsize": 7, "textcoords": "offset points", "xytext": (0, 5)}
    for row, value in there.items():
        look = {"marker": "D", "color": COLOURS["train"]}
        if value != best:
            look = {"marker": "o", "color": COLOURS["note"], "markerfacecolor": "white"}
        ax.plot([value], [row], linestyle="", **look)
        ax.annotate(shown(value), (value, row), **style)
    for row in set(range(len(values))) - set(there):
        place = {"xy": (0.5, row), "xycoords": ax.get_yaxis_transform()}
        ax.annotate("not possible", **place, **(style | {"xytext": (0, -3)}))
    if there and max(there.values()) > _LOG_FROM * min(there.values()) > 0:
        ax.set_xscale("log")
        ax.xaxis.set_minor_formatter(lambda *_: "")
    else:
        ax.xaxis.get_major_locator().set_params(integer=False, nbins=4)
    ax.tick_params(labelsize=SMALL)
    ax.xaxis.set_major_formatter(lambda value, _: _short(value))
    ax.margins(x=0.3)


def _short(value):
    """A number in few letters: 0.94, 12.3 M."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.4g}"
