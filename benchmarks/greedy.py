"""Greedy selection of ensemble members beside a plain NumPy loop with the same result.

Usage: python benchmarks/greedy.py [--rounds N] [--members N] [--samples N]

20 members, 2,000 samples, 10 classes, 20 bags of 50 steps with replacement; at that size it writes
the section of ENSEMBLES.md. "skilled" members are right for about 60 % of the samples and err
together, as networks do; "random" ones know nothing. A function of the user's takes what each of
its 10,000 calls takes; scikit-learn's checks its arguments every time.
"""

import argparse
import time
from statistics import median

import numpy as np
from ensemble_report import write_section
from sklearn.metrics import accuracy_score
from tables import number, table

from keras_dcnn.ensemble.judging.select_members import select_members

CLASSES, BAGS, STEPS = 10, 20, 50
SIZE = (20, 2_000)
TARGET = 3  # seconds
ABOUT = (
    "",
    "`benchmarks/greedy.py`: 20 members, 2,000 samples, 10 classes, 20 bags of 50 steps; target",
    f"≤ {TARGET} s, but for scikit-learn's function. Beside it a plain NumPy loop, whose picks are",
    "compared. Skilled members err together, as networks do; random ones know nothing.",
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


def sklearn_accuracy(y, p):
    return accuracy_score(y, p.argmax(1))


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


def row(name, make, metric, given, arguments):
    """A row of the table: medians over the rounds, in each of which both are measured."""
    oof, y = make(arguments.members, arguments.samples, np.random.default_rng(0))
    ours, loops, same = [], [], True
    for _ in range(arguments.rounds):
        taken, chosen = seconds(lambda: select_members(oof, y, given, bags=BAGS, num_steps=STEPS))
        ours.append(taken)
        bags = [sorted(steps[0].tried) for steps in chosen.trace]
        taken, picks = seconds(lambda bags=bags: [loop(oof, y, metric, each) for each in bags])
        loops.append(taken)
        same &= picks == [[step.member for step in steps] for steps in chosen.trace]
    label = f"the function {given.__name__}" if callable(given) else given
    cells = [name, label, *map(number, (median(ours), median(loops)))]
    print(*cells, "same" if same else "different", sep=", ", flush=True)
    return [*cells, "yes" if same else "no"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--members", type=int, default=SIZE[0])
    parser.add_argument("--samples", type=int, default=SIZE[1])
    arguments = parser.parse_args()
    cases = [("skilled", skilled, m) for m in (accuracy, balanced_accuracy, log_loss, brier)]
    cases += [("random", random, m) for m in (accuracy, log_loss)]
    cases += [("regression", regression, mse)]
    rows = [row(*case, case[-1].__name__, arguments) for case in cases]
    rows += [row("skilled", skilled, m, m, arguments) for m in (accuracy, sklearn_accuracy)]
    head = ["members", "metric", "ours, s", "plain loop, s", "same picks"]
    print("\n".join(table(head, rows)))
    if (arguments.members, arguments.samples) == SIZE:
        write_section("Greedy selection", [*ABOUT, *table(head, rows)])


if __name__ == "__main__":
    main()
