"""LSUV: a plain CNN of 30 layers with and without it, and what it costs on ResNet50.

Usage: python benchmarks/lsuv.py (writes LSUV.md and lsuv.png beside this file; 20 minutes)
       python benchmarks/lsuv.py resnet50 (one measurement, in this process, as JSON)
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np

from keras_dcnn.datasets import photo_digits
from keras_dcnn.initializers import lsuv

HERE = Path(__file__).parent
BACKENDS = ("tensorflow", "jax", "torch")
DEPTH, WIDTH, EPOCHS, BATCH_SIZE, SEEDS = 30, 16, 10, 32, (0, 1, 2)
OPTIMIZERS = {
    "SGD, 0.003, momentum 0.9": lambda: keras.optimizers.SGD(0.003, momentum=0.9),
    "Adam, 0.001": lambda: keras.optimizers.Adam(0.001),
}


def peak_memory():
    """The most memory that this process has held, in GiB; ru_maxrss would be its parent's too."""
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 2**20


def resnet50():
    """Seconds of lsuv on ResNet50, 16 images of 224², and the peak memory of the process."""
    model = keras.applications.ResNet50(weights=None)
    images = np.random.default_rng(0).normal(size=(16, 224, 224, 3)).astype("float32")
    before = peak_memory()
    start, cpu_start = time.perf_counter(), time.process_time()
    rows = lsuv(model, images, verbose=0)
    return {
        "backend": keras.backend.backend(),
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu_start,
        "load": os.getloadavg()[0],
        "peak": peak_memory(),
        "before": before,
        "kernels": sum(row.after is not None for row in rows),
        "largest": max(abs(row.after - 1) for row in rows if row.after is not None),
    }


def plain_cnn(seed):
    """30 convolutions with ReLU and nothing between them, halving the image at three of them."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((32, 32, 3))])
    for layer in range(DEPTH):
        strides = 2 if layer % 10 == 0 else 1
        model.add(keras.layers.Conv2D(WIDTH, 3, strides, padding="same", activation="relu"))
    model.add(keras.layers.GlobalAveragePooling2D())
    model.add(keras.layers.Dense(photo_digits.NUM_CLASSES))
    return model


def curves(optimizer, seed):
    """Loss and accuracy per epoch of both initialisations, and the variances of LSUV's."""
    (x, y), (x_validation, y_validation), _ = photo_digits.load_data()
    mean, std = x.mean((0, 1, 2)), x.std((0, 1, 2))
    x, x_validation = ((images - mean) / std for images in (x, x_validation))
    histories = {}
    for name in ("Glorot", "LSUV"):
        model = plain_cnn(seed)
        rows = lsuv(model, x, verbose=0) if name == "LSUV" else []
        model.compile(
            OPTIMIZERS[optimizer](),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        keras.utils.set_random_seed(seed)  # the same order of the batches
        history = model.fit(
            x,
            y,
            BATCH_SIZE,
            EPOCHS,
            validation_data=(x_validation, y_validation),
            verbose=0,
        ).history
        histories[name] = history
        print(optimizer, seed, name, [round(loss, 3) for loss in history["loss"]], flush=True)
    return histories, rows


def measure_resnet50(backend):
    """`resnet50()` in a fresh process on a backend."""
    done = subprocess.run(
        [sys.executable, __file__, "resnet50"],
        env={**os.environ, "KERAS_BACKEND": backend},
        stdout=subprocess.PIPE,
        check=True,
    )
    print(backend, done.stdout.decode().strip(), flush=True)
    return json.loads(done.stdout.splitlines()[-1])


def table(head, rows):
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def curve_table(runs):
    """Training loss per epoch, median over the seeds (lowest to highest), and final accuracy."""
    rows = []
    for name in ("Glorot", "LSUV"):
        losses = np.array([histories[name]["loss"] for histories, _ in runs])
        for epoch in range(EPOCHS):
            if name == "Glorot":
                rows.append([epoch + 1])
            low, middle, high = np.quantile(losses[:, epoch], [0, 0.5, 1])
            rows[epoch].append(f"{middle:.3f} ({low:.3f} to {high:.3f})")
    last = ["validation accuracy at the end"]
    for name in ("Glorot", "LSUV"):
        ends = [histories[name]["val_accuracy"][-1] for histories, _ in runs]
        last.append(", ".join(f"{end:.1%}" for end in ends))
    return table(["epoch", "Glorot", "LSUV"], [*rows, last])


def resnet_table(resnets):
    """The measurements on ResNet50, a row per backend."""
    rows = [
        [
            result["backend"],
            f"{result['seconds']:.0f}",
            f"{result['cpu_seconds']:.0f}",
            f"{result['load']:.1f}",
            f"{result['peak']:.2f} ({result['before']:.2f})",
            result["kernels"],
            f"{result['largest']:.3f}",
        ]
        for result in resnets
    ]
    head = ["backend", "seconds", "CPU seconds, all cores", "load of the machine"]
    head += ["peak memory, GiB (before lsuv)", "kernels", "furthest from 1"]
    return table(head, rows)


def draw(runs):
    """The curves of all runs, a panel per optimizer, into lsuv.png."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(runs), figsize=(9, 3.6), sharey=True)
    for panel, (optimizer, of_seeds) in zip(panels, runs.items(), strict=True):
        for name, color in (("Glorot", "tab:red"), ("LSUV", "tab:blue")):
            for i, (histories, _) in enumerate(of_seeds):
                label = None if i else name
                loss = histories[name]["loss"]
                panel.plot(range(1, EPOCHS + 1), loss, color=color, alpha=0.7, label=label)
        panel.axhline(np.log(photo_digits.NUM_CLASSES), color="gray", linestyle=":", label="chance")
        panel.set(title=optimizer, xlabel="epoch")
    panels[0].set_ylabel("training loss")
    panels[0].legend()
    figure.suptitle(f"Plain CNN of {DEPTH} convolutions, photo_digits, {len(SEEDS)} seeds")
    figure.tight_layout()
    figure.savefig(HERE / "lsuv.png", dpi=120)


def report(runs, resnets):
    """The text of LSUV.md."""
    rows = [row for of_seeds in runs.values() for _, rows in of_seeds for row in rows]
    befores, afters = [row.before for row in rows], [row.after for row in rows]
    sections = [f"## {name}\n\n{curve_table(of_seeds)}" for name, of_seeds in runs.items()]
    return f"""# LSUV, measured

Written by `python benchmarks/lsuv.py`, on a machine with {os.cpu_count()} CPU cores that other work
shared, Keras {keras.__version__}. The curves are of the {keras.backend.backend()} backend.

A plain CNN: {DEPTH} convolutions 3×3 of {WIDTH} filters with ReLU, no BatchNorm, no shortcuts, then
the mean over the image and a dense layer; photo_digits, {BATCH_SIZE} images a step. Glorot's
initialisation, Keras's default, and the same model after `lsuv(model, images)`: same seed, learning
rate and steps. Training loss per epoch, median of the seeds {", ".join(map(str, SEEDS))} (lowest to
highest); chance is {np.log(photo_digits.NUM_CLASSES):.3f}. SGD at 0.01 is too fast for it: the
first three epochs of a run with LSUV, tried by hand, stayed near chance.

![training loss per epoch](lsuv.png)

{chr(10).join(section + chr(10) for section in sections)}
Variances of the linear outputs, all layers and seeds, on the 64 images that `lsuv` took: before
{min(befores):.2g} to {max(befores):.2g}, after {min(afters):.3f} to {max(afters):.3f}.

## Cost on ResNet50, 224², 16 images

Each in a fresh process, 8 images a pass; the target is under 180 s and under 3 GiB on 2 cores. The
load is the mean number of processes that wanted a core in the last minute of the measurement, this
one included.

{resnet_table(resnets)}
"""


def main():
    resnets = [measure_resnet50(backend) for backend in BACKENDS]
    runs = {name: [curves(name, seed) for seed in SEEDS] for name in OPTIMIZERS}
    draw(runs)
    (HERE / "LSUV.md").write_text(report(runs, resnets), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] == ["resnet50"]:
        print(json.dumps(resnet50()))
    else:
        main()
