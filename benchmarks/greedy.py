"""Greedy selection of ensemble members beside a plain NumPy loop with the same result.

Usage: python benchmarks/greedy.py [--rounds N] [--loop-bags N] [--members N] [--samples N]

100 members, 50,000 samples, 10 classes, 20 bags of 50 steps with replacement, as the paper has it;
at that size it writes the section of ENSEMBLES.md. The loop takes minutes, so it does only the
first of the bags, of which the picks are compared; its time for all is in proportion. "skilled"
members are right for about 60 % of the samples and err together, as networks do; "random" ones know
nothing, so that no sample is soon decided.
"""

import argparse
import time
from statistics import median

import numpy as np
from ensemble_report import write_section
from tables import number, table

from keras_dcnn.ensemble.judging.select_members import select_members

CLASSES, BAGS, STEPS = 10, 20, 50
ABOUT = (
    "",
    "`benchmarks/greedy.py`: 100 members, 50,000 samples, 10 classes, 20 bags of 50 steps; targets",
    "≤ 10 s and ≥ 5 times a plain NumPy loop, of which the first bag is timed and multiplied.",
    "Skilled members err together, as networks do; random ones know nothing.",
)


def accuracy(y, p):
    return np.mean(p.argmax(1) == y)


def balanced_accuracy(y, p):
    right = p.argmax(1) == y
    return np.mean(np.bincount(y, right) / np.bincount(y))


def log_loss(y, p):
    return np.log(np.maximum(p[np.arange(len(y)), y], np.finfo("float64").eps)).mean()


def brier(y, p):
    return -np.square(p - np.eye(CLASSES)[y]).sum(1).mean()


def mse(y, prediction):
    return -np.square(prediction - y).mean()


def loop(oof, y, metric, members):
    """The members picked, by a plain loop."""
    total, picks = np.zeros(oof.shape[1:]), []
    for step in range(1, STEPS + 1):
        scores = [metric(y, (total + oof[member]) / step) for member in members]
        picks.append(members[int(np.argmax(scores))])
        total += oof[picks[-1]]
    return picks


def skilled(members, samples, rng):
    y = rng.integers(0, CLASSES, samples)
    common = 1.2 * rng.normal(size=(samples, CLASSES))
    oof = np.empty((members, samples, CLASSES), "float32")
    for p in oof:
        z = common + rng.uniform(0.6, 1.4) * rng.normal(size=common.shape)
        z[np.arange(samples), y] += rng.uniform(2.4, 3.3)
        p[:] = np.exp(rng.uniform(0.8, 2) * z)
        p /= p.sum(1, keepdims=True)
    return oof, y


def random(members, samples, rng):
    y = rng.integers(0, CLASSES, samples)
    oof = np.empty((members, samples, CLASSES), "float32")
    for p in oof:
        p[:] = rng.dirichlet(np.ones(CLASSES), samples)
    return oof, y


def regression(members, samples, rng):
    y = rng.normal(size=samples)
    bias, noise = rng.normal(0, 0.3, (members, 1)), rng.uniform(0.3, 1, (members, 1))
    return (y + bias + noise * rng.normal(size=(members, samples))).astype("float32"), y


def seconds(call):
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def row(name, make, metric, arguments):
    """A row of the table: medians over the rounds, in each of which both are measured."""
    oof, y = make(arguments.members, arguments.samples, np.random.default_rng(0))
    ours, loops, same = [], [], True
    for _ in range(arguments.rounds):
        taken, chosen = seconds(
            lambda: select_members(oof, y, metric.__name__, bags=BAGS, num_steps=STEPS)
        )
        ours.append(taken)
        spent = 0
        for steps in chosen.trace[: arguments.loop_bags]:
            taken, picks = seconds(lambda s=steps: loop(oof, y, metric, sorted(s[0].tried)))
            spent += taken
            same &= picks == [step.member for step in steps]
        loops.append(spent * BAGS / arguments.loop_bags)
    ratio = median(loops) / median(ours)
    cells = [name, metric.__name__, *map(number, (median(ours), median(loops), ratio))]
    print(*cells, "same" if same else "different", sep=", ", flush=True)
    return [*cells, "yes" if same else "no"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--loop-bags", type=int, default=1)
    parser.add_argument("--members", type=int, default=100)
    parser.add_argument("--samples", type=int, default=50_000)
    arguments = parser.parse_args()
    rows = [
        row("skilled", skilled, metric, arguments)
        for metric in (accuracy, balanced_accuracy, log_loss, brier)
    ]
    rows += [row("random", random, metric, arguments) for metric in (accuracy, log_loss)]
    rows.append(row("regression", regression, mse, arguments))
    head = ["members", "metric", "ours, s", "plain loop, s", "ratio", "same picks"]
    print("\n".join(table(head, rows)))
    if (arguments.members, arguments.samples) == (100, 50_000):
        write_section("Greedy selection", [*ABOUT, *table(head, rows)])


if __name__ == "__main__":
    main()
