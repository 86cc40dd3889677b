"""Sections on ensembles: written into ENSEMBLES.md one by one, and all of them into RESULTS.md."""

import datetime
import os
import platform
import re
from pathlib import Path
from statistics import mean, median, stdev

from tables import median_ratio, number, spread, table

HERE = Path(__file__).parent
ENSEMBLES, RESULTS = HERE / "ENSEMBLES.md", HERE / "RESULTS.md"
TITLE = "# Ensembles"
_T = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 8: 2.365, 10: 2.262}  # Student, 97.5 %


def write_section(title, lines):
    """Put a section into ENSEMBLES.md, in place of the one of that title, and into RESULTS.md."""
    stamp = f"{datetime.date.today()}, {os.cpu_count()} cores, {platform.system()}"
    text = "\n".join([f"## {title}", "", f"Measured {stamp}.", *lines]).strip() + "\n"
    old = ENSEMBLES.read_text(encoding="utf-8") if ENSEMBLES.exists() else f"{TITLE}\n"
    parts = [part for part in re.split(r"(?m)^(?=## )", old) if part.strip()]
    places = [i for i, part in enumerate(parts) if part.startswith(f"## {title}\n")]
    if places:
        parts[places[0]] = text
    else:
        parts.append(text)
    ENSEMBLES.write_text("\n".join(part.strip() + "\n" for part in parts), encoding="utf-8")
    RESULTS.write_text(with_ensembles(RESULTS.read_text(encoding="utf-8")), encoding="utf-8")


def with_ensembles(text):
    """RESULTS.md with the present ENSEMBLES.md at its end."""
    before = text.split(f"\n{TITLE}\n")[0].rstrip()
    if not ENSEMBLES.exists():
        return before + "\n"
    return f"{before}\n\n{ENSEMBLES.read_text(encoding='utf-8')}"


def interval(values):
    """Mean and half of the 95 % interval of Student's t."""
    return mean(values), _T[len(values)] * stdev(values) / len(values) ** 0.5


def write_ways(results, epochs, single="single, all epochs"):
    """The tutorial's ways, from {seed: {way: {accuracy, nll, ece, brier}}}."""
    rows = []
    for way in next(iter(results.values())):
        scores = [of_seed[way] for of_seed in results.values()]
        beside = [of_seed[single] for of_seed in results.values()]
        accuracy = [100 * one["accuracy"] for one in scores]
        ahead = [a - 100 * one["accuracy"] for a, one in zip(accuracy, beside, strict=True)]
        rows.append(
            (
                way,
                "{:.2f} ± {:.2f}".format(*interval(accuracy)),
                "" if way == single else "{:+.2f} ± {:.2f}".format(*interval(ahead)),
                *(f"{mean(one[key] for one in scores):.3f}" for key in ("nll", "ece", "brier")),
            )
        )
    lines = [
        "",
        f"`benchmarks/ensemble_ways.py`, JAX: photo_digits, 2,000 test images, {len(results)} seeds"
        " of data and training; mean and 95 % interval (Student's t; differences paired by seed).",
        f"Every way has had {epochs} epochs of the training set in all; the small heads of 4 and 5",
        "are trained beyond that, on features or predictions.",
        *table(("way", "accuracy, %", "ahead of the single model", "NLL", "ECE", "Brier"), rows),
    ]
    write_section("The tutorial's ways at equal training", lines)


def write_speed(measured):
    """From what `ensembles.py` measures."""
    rows = []
    for backend in ("tensorflow", "jax"):
        warm, cold = measured[backend]["times"], measured[backend]["cold"]
        ours, others = warm["ours"], warm["8 × one warm predict"]
        ratios = median_ratio(ours, others)
        rows.append(
            (backend, "in memory", "8 × one warm predict", ours, others, "≤ 1.05 ×", ratios)
        )
        ours, others = cold["ours, from disk"], cold["load and predict"]
        one = (backend, "from disk, cold", "load and predict", ours, others, "≥ 1.6")
        rows.append((*one, median_ratio(others, ours)))
    graphs = {backend: measured[backend]["graphs"] for backend in ("tensorflow", "jax")}
    lines = [
        "",
        "`benchmarks/ensembles.py`: 8 members of one architecture, 2,000 images of 32×32, batches",
        "of 100; medians, and ratios within a round with their quartiles. “≤ 1.05 ×” is of the",
        "other's time, “≥ 1.6” how many times faster. Compiled graphs of the eight together after",
        f"all calls: {graphs['tensorflow']} on TensorFlow, {graphs['jax']} on JAX.",
        *table(
            ("backend", "ours", "beside", "s", "theirs, s", "target", "measured", "verdict"),
            [_speed_row(*row) for row in rows],
        ),
    ]
    write_section("Speed of ensembles", lines)


def _speed_row(backend, ours, beside, times, others, target, ratios):
    ratio, each = ratios
    limit = float(target.split()[1])
    met = ratio <= limit if target.startswith("≤") else ratio >= limit
    measured = f"{number(ratio)} ({spread(each)})"
    verdict = "met" if met else "missed"
    return backend, ours, beside, _seconds(times), _seconds(others), target, measured, verdict


def _seconds(values):
    value = median(values)
    return number(value) if value >= 0.01 else f"{1000 * value:.2g} ms"
