"""The targets, and the Markdown that says how far they are met."""

import datetime
import importlib.metadata
import os
import platform
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

from measure import BATCH, CORES, SIZE

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


class Target(NamedTuple):
    """`ours` is to reach `least` times the images/s of the fastest of `peers`."""

    work: str
    ours: str
    peers: tuple
    least: float


def _albumentations(name, *dtypes):
    return tuple(
        f"albumentations {name}, {dtype}, {set_up}"
        for dtype in dtypes
        for set_up in ("loop", "threads")
    )


def _jitted(backend):
    """What is asked of the layers compiled on one backend."""
    hsv, pca, affine = (
        f"{name}, jit, {backend}" for name in ("RandomHSV", "FancyPCA", "RandomAffine")
    )
    rotation_zoom = {
        "TensorFlow": "Keras RandomRotation, RandomZoom, graph mode, TensorFlow",
        "JAX": "Keras RandomRotation, RandomZoom, jit, JAX",
    }
    return [
        Target("hsv", hsv, ("keras_cv RandomColorJitter, graph mode",), 4),
        Target("hsv", hsv, ("keras_cv RandomColorJitter, jit",), 4),
        Target("hsv", hsv, _albumentations("HueSaturationValue", "float32"), 1.3),
        Target("hsv", hsv, ("kornia RandomHue, float32",), 10),
        Target("pca", pca, (f"x + 1, jit, {backend}",), 0.6),
        Target("pca", pca, _albumentations("FancyPCA", "float32", "uint8"), 10),
        Target("affine", affine, (rotation_zoom[backend],), 4),
        Target("affine", affine, _albumentations("Affine", "uint8"), 1),
    ]


TARGETS = (
    *_jitted("TensorFlow"),
    *_jitted("JAX"),
    Target("hsv", "RandomHSV, tf.data, uint8", _albumentations("HueSaturationValue", "uint8"), 1),
    Target(
        "adapt",
        "FancyPCA.adapt, uint8",
        ("np.cov, rowvar=False", "np.cov, channels copied into rows"),
        2,
    ),
    Target("adapt", "FancyPCA.adapt, uint8", ("sklearn IncrementalPCA, an image at a time",), 8),
)
FLAT = 1.1  # the peak memory on ten times as many images may be so many times as high, or 1 MiB


def table(head, rows):
    """Lines of a Markdown table, padded so that it reads well on a terminal too."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    rows = [head, ["-" * width for width in widths], *rows]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    return ["", *(f"| {' | '.join(row)} |" for row in padded), ""]


def number(value):
    """Three digits, or all of those before the point."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def target_rows(rates, absent):
    """A row per target whose work was run. `rates`: by label, a figure per round."""
    rows = []
    for target in TARGETS:
        peers = [peer for peer in target.peers if peer in rates]
        if target.ours not in rates and target.ours not in absent:
            continue  # another work, left out by --only
        if target.ours not in rates or not peers:
            reason = absent.get(target.ours) or absent[target.peers[0]]
            rows.append((target.ours, target.peers[0], f"≥ {target.least}", "–", reason))
            continue
        fastest = max(peers, key=lambda peer: median(rates[peer]))
        ratios = [
            ours / peer for ours, peer in zip(rates[target.ours], rates[fastest], strict=True)
        ]
        ratio, verdict = median(ratios), "met" if median(ratios) >= target.least else "missed"
        measured = f"{number(ratio)} ({_spread(ratios)})"
        rows.append((target.ours, fastest, f"≥ {target.least}", measured, verdict))
    return rows


def memory_rows(peaks):
    """The row on the peak memory. `peaks`: MiB by number of images."""
    (few, low), (many, high) = sorted(peaks.items())
    verdict = "met" if high <= max(FLAT * low, low + 1) else "missed"
    measured = f"{high / low:.2f} ({low:.2g} MiB, {high:.2g} MiB)"
    ours = f"FancyPCA.adapt, uint8, peak memory on {many} images"
    return [(ours, f"on {few} images", f"≤ {FLAT}", measured, verdict)]


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
            f"{median(ours / plus for ours, plus in zip(rate, copy, strict=True)):.0%}",
        )
        for label, rate in rates.items()
    ]
    head = ("layer, jit, JAX, float32", "GB/s read and written", "of `x + 1`")
    return ["## GPU", *table(head, rows)]


def _spread(values):
    if len(values) == 1:
        return number(values[0])
    low, _, high = quantiles(values, n=4, method="inclusive")
    return f"{number(low)} to {number(high)}"


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


def target_table(rates, absent, peaks):
    """The lines of the table of targets."""
    rows = target_rows(rates, absent) + (memory_rows(peaks) if peaks else [])
    return table(("ours", "compared with", "target", "measured (quartiles)", "verdict"), rows)


def markdown(rates, absent, peaks, load):
    """The whole report. `absent`: the reason by label; `load`: the load average at the start."""
    count = max(map(len, rates.values()))
    measured = [
        (label, f"{median(rate):.0f}", _spread(rate))
        for label, rate in rates.items()
        if not label.endswith(", GPU")
    ]
    measured += [(label, "–", why) for label, why in absent.items() if not label.endswith(", GPU")]
    return "\n".join(
        [
            "# Speed",
            "",
            "Written by `make bench`; the notes are those of `NOTES.md`.",
            "",
            f"- {datetime.date.today()}; {_machine()}; load average at the start {load:.2f}",
            f"- Python {platform.python_version()}, "
            + ", ".join(f"{package} {_version(package)}" for package in PACKAGES),
            f"- {BATCH} images of {SIZE}×{SIZE}×3 a step; {count} rounds, in each of which every "
            "contestant had half a second in a shuffled order",
            "",
            "## Targets",
            "",
            "Ratios of images per second: the median, over the rounds, of the ratio within the "
            "round, so that a slow spell of the machine hits both sides. Where a peer has several "
            "set-ups, its fastest counts.",
            *target_table(rates, absent, peaks),
            *gpu_lines(rates),
            "## Images per second",
            *table(("contestant", "median", "quartiles"), measured),
            Path(__file__).with_name("NOTES.md").read_text(encoding="utf-8"),
        ]
    )
