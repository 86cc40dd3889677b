"""find_learning_rate: its suggestions on curves that are known, and what trainings make of them.

Usage: python benchmarks/learning_rate.py [schedule.py] (writes LEARNING_RATE.md; 5 minutes)

`schedule.py` is fastai's file fastai/callback/schedule.py, of its source from PyPI: the functions
of its suggestions are run on the same curves. They need PyTorch, not fastai.
"""

import ast
import math
import sys
from collections import defaultdict
from pathlib import Path

import keras
import numpy as np
from tables import number, table

from keras_dcnn.datasets import photo_digits
from keras_dcnn.diagnosis import find_learning_rate
from keras_dcnn.diagnosis._learning_rate.curve import (
    averages_so_far,
    descent_of,
    fall_of,
    smooth,
    steepest_place,
    valley_place,
)

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "tests"))
from simulated_rates import simulate  # noqa: E402

# The rule was chosen on curves 0 to 199 and trainings 0 to 7; these are others of the same kinds.
CURVES, SEEDS, IMAGES, EPOCHS, BATCH_SIZE = range(1000, 1200), range(8, 16), 1024, 3, 32
GRID = np.geomspace(3e-4, 0.3, 10)
FASTAI = ("valley", "slide", "minimum", "steep")
layers = keras.layers


def ours(rates, losses):
    """Steepest and valley by name; None where they can't be told."""
    fall = fall_of(losses, 0.85)
    if not fall.is_clear:
        return {"ours, steepest": None, "ours, valley": None}
    smoothed = smooth(losses, 0.85)
    descent = descent_of(losses, smoothed, fall)
    places = steepest_place(smoothed, descent), valley_place(smoothed, descent)
    return dict(
        zip(("ours, steepest", "ours, valley"), (float(rates[k]) for k in places), strict=True)
    )


def fastai_functions(path):
    """The functions of its suggestions, out of its file, whose other parts need fastai itself."""
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if getattr(node, "name", "") in FASTAI]
    namespace = {"np": np, "to_np": np.asarray}
    exec(compile(tree, path, "exec"), namespace)
    return {name: namespace[name] for name in FASTAI}


def of_fastai(functions, rates, losses):
    """Its suggestions, from averages and without the ends that its lr_find leaves out."""
    import torch

    kept = slice(len(losses) // 10, -5)
    rates, averages = (
        torch.tensor(np.asarray(values)[kept], dtype=torch.float64)
        for values in (rates, averages_so_far(losses, 0.98))
    )
    suggestions = {}
    for name, function in functions.items():
        try:
            suggestions[f"fastai, {name}"] = function(rates, averages, len(losses))[0]
        except IndexError:  # slide looks 15 losses back
            suggestions[f"fastai, {name}"] = None
    return suggestions


def suggestions(functions, rates, losses):
    return {**ours(rates, losses), **(of_fastai(functions, rates, losses) if functions else {})}


def on_known_curves(functions):
    """A row for each suggestion: where on the simulated curves it lies."""
    rows = defaultdict(list)
    for seed in CURVES:
        curve = simulate(seed)
        for name, rate in suggestions(functions, curve.rates, curve.losses).items():
            rows[name].append((curve, rate))
    return [known_row(name, pairs) for name, pairs in rows.items()]


def known_row(name, pairs):
    told = [(curve, rate) for curve, rate in pairs if rate is not None]
    before = sum(rate < 0.999 * curve.begins for curve, rate in told)
    beyond = sum(rate > 1.001 * curve.ends for curve, rate in told)
    ratios = [rate / curve.steepest for curve, rate in told]
    low, median, high = np.quantile(ratios, [0.05, 0.5, 0.95])
    share = f"{1 - (before + beyond) / len(told):.1%}"
    spread = f"{number(median)} ({number(low)} to {number(high)})"
    return [name, str(len(told)), share, str(before), str(beyond), spread]


def convolution(filters, normalised):
    yield layers.Conv2D(filters, 3, 2, "same", use_bias=not normalised)
    if normalised:
        yield layers.BatchNormalization()
    yield layers.ReLU()


def network(name):
    """A compiled model: its layers, and its optimizer."""
    inputs, momentum = keras.Input((16, 16, 3)), keras.optimizers.SGD(0.01, momentum=0.9)
    if name == "dense, SGD":
        stack, optimizer = [layers.Flatten(), layers.Dense(64, "relu")], momentum
    elif name == "convolutions, Adam":
        stack = [*convolution(16, False), *convolution(32, False), layers.Flatten()]
        optimizer = keras.optimizers.Adam()
    else:
        stack = [*convolution(16, True), *convolution(32, True), layers.GlobalAveragePooling2D()]
        optimizer = momentum
    model = keras.Sequential([inputs, *stack, layers.Dense(photo_digits.NUM_CLASSES)])
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.optimizer.build(model.trainable_variables)
    return model


def data():
    (x, y), _, _ = photo_digits.load_data()
    x = ((x - x.mean((0, 1, 2))) / x.std((0, 1, 2))).astype("float32")
    return x[:IMAGES, ::2, ::2], y[:IMAGES]


def begin(model, weights, optimizer_state):
    model.set_weights(weights)
    for variable, value in zip(model.optimizer.variables, optimizer_state, strict=True):
        variable.assign(value)


def trained(model, weights, optimizer_state, rate, seed, x, y):
    """The loss after a short training from these weights at a rate; infinite where it diverges."""
    begin(model, weights, optimizer_state)
    model.optimizer.learning_rate = rate
    keras.utils.set_random_seed(seed)
    model.fit(x, y, BATCH_SIZE, EPOCHS, verbose=0)
    loss = model.evaluate(x, y, 256, verbose=0)
    return loss if math.isfinite(loss) else math.inf


def by_training(name, functions):
    """Of each seed: the suggestions with the loss that each gives, and the best of the grid."""
    (x, y), model = data(), network(name)
    state = [np.array(variable) for variable in model.optimizer.variables]
    runs = []
    for seed in SEEDS:
        keras.utils.set_random_seed(seed)
        weights = network(name).get_weights()
        begin(model, weights, state)
        curve = find_learning_rate(model, (x, y), batch_size=BATCH_SIZE, seed=seed, verbose=0)
        rates = suggestions(functions, curve.rates, curve.losses)
        arguments = (model, weights, state)
        ends = {
            n: rate and (rate, trained(*arguments, rate, seed, x, y)) for n, rate in rates.items()
        }
        grid = [(trained(*arguments, rate, seed, x, y), rate) for rate in GRID]
        runs.append((ends, min(grid)))
        print(name, seed, ends, min(grid), flush=True)
    return runs


def training_table(runs):
    """A row for each suggestion, and one for the best rate of the grid."""
    best_losses, best_rates = zip(*(best for _, best in runs), strict=True)
    rows = [["best of the grid", "", number(np.median(best_rates)), "1", *spread(best_losses)]]
    for name in runs[0][0]:
        told = [(ends[name], rate) for ends, (_, rate) in runs if ends[name]]
        rates, losses = zip(*(end for end, _ in told), strict=True)
        ratio = np.median([rate / best for (rate, _), best in told])
        rows.append(
            [name, str(len(told)), number(np.median(rates)), number(ratio), *spread(losses)]
        )
    head = ["", "told", "rate, median", "by the grid's best", "loss, median", "worst"]
    return "\n".join(table(head, rows))


def spread(losses):
    return [number(np.median(losses)), number(max(losses))]


def report(known, trainings, functions):
    head = ["", "told", "on the descent", "before it", "beyond it", "by the steepest rate"]
    sections = [f"## {name}\n{training_table(runs)}" for name, runs in trainings.items()]
    peer = (
        "fastai's functions had the same losses, averaged with its 0.98, without the first tenth\n"
        "and the last five, as in its `lr_find`."
        if functions
        else "fastai's were not run."
    )
    return f"""# Learning rates, measured

Written by `python benchmarks/learning_rate.py`, Keras {keras.__version__}, on the
{keras.backend.backend()} backend.
{peer}
Our rule was chosen by its results on other curves and seeds of the same kinds, of which about 50
variants were tried; the seeds here were not looked at before. fastai's rules were not tuned.

## {len(CURVES)} curves that are known

A loss that is flat, falls in one of five shapes and blows up, at 40 to 200 rates, with noise of 0
to 0.3 of the fall (`tests/simulated_rates.py`). On the descent is a rate from where a twentieth of
the fall is reached to the lowest loss, without the noise. The last column is the ratio to the rate
at which the curve is steepest, median (5 to 95 %).
{chr(10).join(table(head, known))}
# What trainings make of them

photo_digits at 16×16, {IMAGES} images, {EPOCHS} epochs of batches of {BATCH_SIZE} from the weights
with which the range test began; loss on these images at the end, of {len(SEEDS)} seeds. Chance is
{np.log(photo_digits.NUM_CLASSES):.2f}. The grid has {len(GRID)} rates from {number(GRID[0])} to
{number(GRID[-1])}; the third column is the median ratio to its best rate of the same seed, and
“inf” has diverged.

{chr(10).join(sections)}"""


def main(path=None):
    functions = fastai_functions(path) if path else {}
    known = on_known_curves(functions)
    names = ("dense, SGD", "convolutions, Adam", "convolutions with BatchNorm, SGD")
    trainings = {name: by_training(name, functions) for name in names}
    text = report(known, trainings, functions)
    (HERE / "LEARNING_RATE.md").write_text(text.rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
