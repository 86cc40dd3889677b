"""Every way of fine-tuning on one task: accuracy, under a colour cast too, and seconds.

    python benchmarks/fine_tuning.py --data DIR     any folder of images, EfficientNet-Lite0
    python benchmarks/fine_tuning.py --digits       digits 0 to 4, then 5 to 9, a small CNN
    python benchmarks/fine_tuning.py --report       the tables of all that was measured

For each seed a fifth of each class is for the test; of the rest so many images a class are given to
`fine_tune`, which takes what it holds out from them. "scratch" is our small CNN with the same
augmentation. A run is a line of fine_tuning.jsonl and is not run again on the machine of that
name. Seconds are those of the whole call, features and all; they depend on what else the machine
does.
"""

import argparse
import json
import time
from collections import Counter, defaultdict
from pathlib import Path

import keras
import numpy as np
from tables import table

from keras_dcnn._keras.compiling import jit_compile
from keras_dcnn.callbacks import DivideLROnPlateau, WeightAveraging
from keras_dcnn.datasets import image_folder, photo_digits
from keras_dcnn.fine_tuning import fine_tune
from keras_dcnn.layers import standard_augmentation
from keras_dcnn.models import efficientnet_lite, small_cnn

HERE = Path(__file__).parent
RUNS = HERE / "fine_tuning.jsonl"
STRATEGIES = ("scratch", "probe", "probe_all", "few_layers", "all_layers", "probe_then_all", "auto")
COLOR_CAST = 0.8
SCRATCH_SIZE, SCRATCH_EPOCHS = 64, 3  # epochs: times those of fine_tune


class Folder:
    """A folder of images, for a network that was trained on ImageNet."""

    flip = True

    def __init__(self, directory, image_size):
        self.name, self._directory, self._size = Path(directory).name, directory, image_size

    def network(self):
        shape = (self._size, self._size, 3)
        return efficientnet_lite(include_top=False, pooling="avg", input_shape=shape)

    def data(self, seed):
        """Images and labels to learn from, and to test on; a fifth of each class."""
        *parts, test, _ = image_folder.load_data(self._directory, self._size, seed)
        return [np.concatenate(both) for both in zip(*parts, strict=True)], test


class Digits:
    """The digits 5 to 9 on photographs, for a network that was trained on 0 to 4."""

    name, flip = "digits", False

    def network(self):
        keras.utils.set_random_seed(0)
        (x, y), validation, _ = photo_digits.load_data()
        model = small_cnn((32, 32, 3), 5, augmentation=[augmentation(x, self.flip)])
        fit(model, first_half(x, y), first_half(*validation), 20)
        return model

    def data(self, seed):
        *parts, test = photo_digits.load_data(seed=seed)
        x, y = (np.concatenate(both) for both in zip(*parts, strict=True))
        return (x[y > 4], y[y > 4] - 5), (test[0][test[1] > 4], test[1][test[1] > 4] - 5)


def first_half(x, y):
    return x[y < 5], y[y < 5]


def augmentation(images, flip):
    return standard_augmentation(*images.shape[1:3], flip=flip, seed=0)


def fit(model, training, validation, epochs):
    """The same training that fine_tune gives, for a network that knows nothing yet."""
    loss = "sparse_categorical_crossentropy"
    model.compile(
        keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"], jit_compile=jit_compile()
    )
    callbacks = [DivideLROnPlateau(patience=5, verbose=0), WeightAveraging("swa", verbose=0)]
    model.fit(*training, epochs=epochs, validation_data=validation, callbacks=callbacks, verbose=0)


def sample(x, y, count, seed):
    """So many images of each class, or all for None."""
    order = np.random.default_rng(seed).permutation(len(y))
    chosen = [order[y[order] == label][:count] for label in np.unique(y)]
    chosen = np.concatenate(chosen)
    return x[chosen], y[chosen]


def scratch(task, x, y, seed, epochs):
    """Our small CNN, trained on these images alone."""
    keras.utils.set_random_seed(seed)
    side = min(SCRATCH_SIZE, x.shape[1])
    held_out = np.zeros(len(y), bool)
    for label in np.unique(y):
        held_out[np.flatnonzero(y == label)[::5]] = True
    first = [augmentation(x, task.flip), keras.layers.Resizing(side, side)]
    model = small_cnn(x.shape[1:], int(y.max()) + 1, augmentation=first)
    fit(model, (x[~held_out], y[~held_out]), (x[held_out], y[held_out]), epochs)
    return model, "scratch"


def tuned(task, network, x, y, strategy, seed, epochs):
    layers = {"layers": "all"} if strategy == "probe_all" else {}
    name = "probe" if strategy == "probe_all" else strategy
    result = fine_tune(
        network,
        (x, y),
        strategy=name,
        augmentation=augmentation(x, task.flip),
        epochs=epochs,
        seed=seed,
        verbose=0,
        **layers,
    )
    return result.model, result.strategy


def measured(model, x, y):
    """Accuracy, and its mean over the classes, of images as they are and under a colour cast."""
    cast = photo_digits.tint(x, COLOR_CAST, np.random.default_rng(0))
    result = {}
    for name, images in (("", x), ("cast ", cast)):
        right = model.predict(images, batch_size=64, verbose=0).argmax(1) == y
        result[f"{name}accuracy"] = float(right.mean())
        result[f"{name}balanced"] = float(np.mean([right[y == one].mean() for one in np.unique(y)]))
    return result


def run(task, arguments):
    done = {(*key, seed) for key, runs in by_key(arguments.machine).items() for seed in runs}
    network = task.network()
    for seed in arguments.seeds:
        pool, test = task.data(seed)
        for size in arguments.sizes:
            x, y = sample(*pool, size, seed)
            for strategy in arguments.strategies:
                if (task.name, size, strategy, seed) in done:
                    continue
                start = time.perf_counter()
                if strategy == "scratch":
                    epochs = SCRATCH_EPOCHS * arguments.epochs
                    model, took = scratch(task, x, y, seed, epochs)
                else:
                    model, took = tuned(task, network, x, y, strategy, seed, arguments.epochs)
                seconds = time.perf_counter() - start
                line = {"task": task.name, "size": size, "strategy": strategy, "seed": seed}
                line |= {"took": took, "images": len(y), "epochs": arguments.epochs}
                line |= measured(model, *test)
                line |= {"seconds": round(seconds, 1), "machine": arguments.machine}
                print(line, flush=True)
                with RUNS.open("a") as file:
                    file.write(json.dumps(line) + "\n")
                keras.backend.clear_session()


def known():
    return [json.loads(line) for line in RUNS.read_text().splitlines()] if RUNS.exists() else []


def by_key(machine):
    """The runs of a machine by task, size and strategy, and in these by seed."""
    groups = defaultdict(dict)
    for one in known():
        if one["machine"] == machine:
            groups[one["task"], one["size"], one["strategy"]][one["seed"]] = one
    return groups


def interval(values, sign=""):
    """Mean and 95 % interval over the seeds, by Student's t, in per cent."""
    from scipy import stats

    values = 100 * np.array(values)
    mean = f"{values.mean():{sign}.1f}"
    if len(values) < 2:
        return mean
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return f"{mean} ± {half:.1f}"


def difference(groups, setting, one, other, column="accuracy"):
    """One strategy less the other, in pairs of the same seed."""
    one, other = groups[*setting, one], groups[*setting, other]
    return interval([one[s][column] - other[s][column] for s in one.keys() & other.keys()], "+")


def report(machine):
    groups = by_key(machine)
    columns = ("accuracy", "balanced", "cast accuracy", "cast balanced")
    rows = []
    for (task, size, strategy), runs in groups.items():
        seconds = f"{np.median([one['seconds'] for one in runs.values()]):.0f}"
        figures = [interval([one[column] for one in runs.values()]) for column in columns]
        rows.append([task, str(size or "all"), strategy, str(len(runs)), *figures, seconds])
    head = ["task", "a class", "strategy", "seeds", *columns, "seconds"]
    print(f"\n{machine}\n", *table(head, rows), sep="\n")
    settings = dict.fromkeys(key[:2] for key in groups)
    print("", *table(COMPARED, [compared(groups, one) for one in settings]), sep="\n")


COMPARED = (
    *("task", "a class", "best fixed strategy", "auto less it", "under the cast"),
    *("all depths less the last", "under the cast", "auto less scratch"),
)


def compared(groups, setting):
    """A row of `COMPARED`; the best strategy is so on the mean, of those that fine_tune has."""

    def mean(strategy):
        return np.mean([one["accuracy"] for one in groups[*setting, strategy].values()])

    best = max(STRATEGIES[1:-1], key=mean)
    cells = [
        difference(groups, setting, *pair, column)
        for pair in (("auto", best), ("probe_all", "probe"))
        for column in ("accuracy", "cast accuracy")
    ]
    task, size = setting
    return task, str(size or "all"), best, *cells, difference(groups, setting, "auto", "scratch")


def figure(machine):
    """Accuracy by the images a class, for the README: from scratch, and pretrained."""
    from matplotlib import pyplot

    groups = by_key(machine)
    shown = {"scratch": "a small CNN from scratch", "auto": "fine_tune(network, images)"}
    titles = {"stamps": "photographs, 9 classes", "fashion": "clothes, 10 classes"}
    drawn, axes = pyplot.subplots(1, 2, figsize=(8, 2.6), sharey=True, layout="constrained")
    for axis, (task, title) in zip(axes, titles.items(), strict=True):
        sizes = list(dict.fromkeys(size for of_task, size, _ in groups if of_task == task))
        for place, (strategy, label) in enumerate(shown.items()):
            runs = [groups[task, size, strategy].values() for size in sizes]
            values = [100 * np.array([one["accuracy"] for one in of_size]) for of_size in runs]
            at = np.arange(len(sizes)) + 0.4 * place
            means = [one.mean() for one in values]
            color, hatch = (("#bbbbbb", ""), ("#0072b2", "//"))[place]
            bars = axis.bar(at, means, 0.38, label=label, color=color, hatch=hatch, ec="white")
            axis.bar_label(bars, fmt="%.0f", padding=2)
        axis.set(title=title, xlabel="images a class", ylim=(0, 100))
        axis.set_xticks(np.arange(len(sizes)) + 0.2, [size or "all (7 to 51)" for size in sizes])
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("test accuracy (%)")
    drawn.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    drawn.savefig(HERE / "fine_tuning.png", dpi=130)


def seeds_of(text):
    return range(*map(int, text.split(":")))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data")
    parser.add_argument("--digits", action="store_true")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--sizes", default="5,20,all")
    parser.add_argument("--seeds", type=seeds_of, default=range(5), help="5, or 2:4 for 2 and 3")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--machine", default=keras.backend.backend(), help="what to call it")
    parser.add_argument("--strategies", default=",".join(STRATEGIES))
    arguments = parser.parse_args()
    sizes = arguments.sizes.split(",")
    arguments.sizes = [None if one == "all" else int(one) for one in sizes]
    arguments.strategies = arguments.strategies.split(",")
    if arguments.data:
        run(Folder(arguments.data, arguments.image_size), arguments)
    if arguments.digits:
        run(Digits(), arguments)
    if arguments.report:
        machines = Counter(one["machine"] for one in known())
        for machine in machines:
            report(machine)
        figure(max(machines, key=machines.get))


if __name__ == "__main__":
    main()
