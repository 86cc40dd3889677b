"""The Markdown that says what was measured and how far the targets are met."""

import datetime
import importlib.metadata
import os
import platform
from pathlib import Path
from statistics import median
from typing import NamedTuple

from contestants import WORKS
from ensemble_report import with_ensembles
from measure import BATCH, CIFAR, CORES, MAPS, SIZE
from tables import median_ratio, number, spread, table
from targets import kept_rows, peak_rows, target_rows

PACKAGES = (
    "keras_dcnn",
    "keras",
    "tensorflow",
    "jax",
    "numpy",
    "keras-cv",
    "albumentations",
    "albucore",
    "opencv-python-headless",
    "scikit-learn",
    "kornia",
    "torch",
)


class Measured(NamedTuple):
    """What the report is made of."""

    contestants: dict  # by label, as the rest
    rates: dict  # images per second, a figure per round
    absent: dict  # why a contestant could not take part
    peaks: dict | None  # MiB that `adapt` takes at its peak, by number of images
    kept: dict  # bytes, by what takes them and by layer
    load: float  # the load average at the start


def gpu_lines(rates):
    """The section on a GPU; nothing where there is none."""
    rates = {label: rate for label, rate in rates.items() if label.endswith(", GPU")}
    if "x + 1, GPU" not in rates:
        return []
    copy, traffic = rates["x + 1, GPU"], 2 * 4 * SIZE * SIZE * 3  # float32, read and written
    rows = [
        (
            label.removesuffix(", GPU"),
            f"{median(rate) * traffic / 1e9:.0f}",
            f"{median_ratio(rate, copy)[0]:.0%}",
        )
        for label, rate in rates.items()
    ]
    head = ("layer, jit, JAX, float32", "GB/s read and written", "of `x + 1`")
    return ["## GPU", *table(head, rows)]


def _machine():
    try:
        info = Path("/proc/cpuinfo").read_text()
        name = next(line for line in info.splitlines() if line.startswith("model name"))
        name = name.split(":")[1].strip()
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{name}, {CORES} cores, {memory:.0f} GiB, {platform.system()}"


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def target_table(measured):
    """The lines of the table of targets."""
    rows = target_rows(measured.rates, measured.absent)
    rows += [*peak_rows(measured.peaks), *kept_rows(measured.kept)]
    return table(("ours", "compared with", "target", "measured (quartiles)", "verdict"), rows)


def contestant_tables(measured):
    """A table per work: its contestants by their images per second, or why they are missing."""
    lines, shown = [], {k: c for k, c in measured.contestants.items() if not k.endswith(", GPU")}
    for work, heading in WORKS.items():
        rows = [
            (label, *_figures(label, measured))
            for label, contestant in shown.items()
            if work in contestant.works
        ]
        if rows:
            lines += [f"### {heading}", *table(("contestant", "median", "quartiles"), rows)]
    return lines


def _figures(label, measured):
    if label in measured.absent:
        return "–", measured.absent[label]
    return number(median(measured.rates[label])), spread(measured.rates[label])


def markdown(measured):
    """The whole report, with what is known of ensembles at its end."""
    count = max(map(len, measured.rates.values()))
    text = "\n".join(
        [
            "# Speed",
            "",
            "Written by `make bench`; the notes are those of `NOTES.md`.",
            "",
            f"- {datetime.date.today()}; {_machine()}; load average at the start "
            f"{measured.load:.2f}",
            f"- Python {platform.python_version()}, "
            + ", ".join(f"{package} {_version(package)}" for package in PACKAGES),
            f"- A step is {BATCH} images of {SIZE}×{SIZE}×3; of rectifiers {_shape(MAPS)}, of "
            f"training {_shape(CIFAR)}",
            f"- {count} rounds, in each of which every contestant had half a second, or one step "
            "where that takes longer, in a shuffled order",
            "",
            "## Targets",
            "",
            "Ratios: the median, over the rounds, of the ratio within the round, so that a slow "
            "spell of the machine hits both sides. “≥ 4” asks for four times as many images per "
            "second, “≤ 1.25” for at most 1.25 times the time, or the bytes, of the other. Where "
            "a peer has several set-ups, its fastest counts.",
            *target_table(measured),
            *gpu_lines(measured.rates),
            "## Images per second",
            "",
            *contestant_tables(measured),
            Path(__file__).with_name("NOTES.md").read_text(encoding="utf-8"),
        ]
    )
    return with_ensembles(text)


def _shape(sizes):
    count, *image = sizes
    return f"{count} of {'×'.join(map(str, image))}"
