"""Peak memory of averaging 50 checkpoints of 100 MB, beside loading them all for NumPy's mean.

Usage: python benchmarks/checkpoint_memory.py [COUNT [MEGABYTES]]

Every figure is of a process of its own: its highest resident memory (VmHWM) less what it had after
a tiny model was averaged once, so that libraries don't count and the model does. Prints a table.
The files are five, each listed over and over; they lie in the system's temporary folder.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ensemble_report import write_section
from tables import table

BACKENDS = ("tensorflow", "jax")
KINDS = ("ours", "ours, validated", "naive")
WIDTH, DISTINCT = 512, 5


def network(megabytes):
    """Dense layers of 1 MiB each; at the end a head."""
    import keras

    layers = [keras.layers.Dense(WIDTH, "relu") for _ in range(megabytes)]
    return keras.Sequential([keras.Input((WIDTH,)), *layers, keras.layers.Dense(10, "softmax")])


def memory(field):
    """VmHWM or VmRSS of this process, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(field))
    return int(line.split()[1]) / 1024


def naive(model, files, **_):
    """What is most often written: all of them loaded, then the mean."""
    import numpy as np

    weights = []
    for file in files:
        model.load_weights(file)
        weights.append(model.get_weights())
    model.set_weights([np.mean(each, axis=0) for each in zip(*weights, strict=True)])


def measure(kind, files, megabytes):
    """Peak above the start, and seconds, in this process."""
    import numpy as np

    from keras_dcnn.ensemble.averaging.average_checkpoints import average_checkpoints

    average = naive if kind == "naive" else average_checkpoints
    data = np.ones((64, WIDTH), "float32"), np.zeros(64, "int32")
    more = {"validation_data": data} if kind == "ours, validated" else {}
    with tempfile.TemporaryDirectory() as folder:
        small, path = network(1), Path(folder, "small.weights.h5")
        small.compile("sgd", "sparse_categorical_crossentropy")
        small.save_weights(path)
        average(small, [path], **more)  # what is loaded once is not counted
    before = memory("VmRSS")
    start = time.perf_counter()
    model = network(megabytes)
    model.compile("sgd", "sparse_categorical_crossentropy")
    average(model, files, **more)
    return memory("VmHWM") - before, time.perf_counter() - start


def write(folder, megabytes):
    """Distinct checkpoints of one training, as it were."""
    import numpy as np

    model, paths = network(megabytes), []
    draw = np.random.default_rng(0)
    start = model.get_weights()
    for i in range(DISTINCT):
        model.set_weights([w + 0.001 * draw.normal(size=w.shape) for w in start])
        paths.append(str(Path(folder, f"{i}.weights.h5")))
        model.save_weights(paths[-1])
    return paths, sum(w.nbytes for w in start) / 2**20


def main(count=50, megabytes=100):
    """One process for each figure."""
    with tempfile.TemporaryDirectory() as folder:
        paths, size = write(folder, megabytes)
        files = (paths * count)[:count]
        rows = [
            (backend, kind, *_cells(*elsewhere(backend, kind, megabytes, files), size))
            for backend in BACKENDS
            for kind in KINDS
        ]
    head = ("backend", "way", "peak above the start, MiB", "checkpoints", "seconds")
    lines = table(head, rows)
    print("\n".join(lines))
    if (count, megabytes) == (50, 100):
        about = "`benchmarks/checkpoint_memory.py`: 50 checkpoints of 100 MiB; target: ≤ 5 of them."
        write_section("Memory of averaging", ["", about, *lines])


def _cells(peak, seconds, size):
    return f"{peak:.0f}", f"{peak / size:.2f}", f"{seconds:.1f}"


def elsewhere(backend, kind, megabytes, files):
    """`measure` in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--measure", kind, str(megabytes)],
        input=json.dumps(files),
        env={**os.environ, "KERAS_BACKEND": backend},
        text=True,
        check=True,
        stdout=subprocess.PIPE,
    )
    print(backend, kind, done.stdout.splitlines()[-1], flush=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(sys.argv[2], json.load(sys.stdin), int(sys.argv[3]))))
    else:
        main(*map(int, sys.argv[1:]))
