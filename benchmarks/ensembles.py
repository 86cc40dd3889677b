"""Eight members of one architecture on 2,000 images: ours beside what a Keras user writes.

Usage: python benchmarks/ensembles.py [--rounds N]; writes the speed section of ENSEMBLES.md.

Each backend in a process of its own, and the cold runs, with import and compilation left out of
what is timed and included, in processes of their own again. Ratios are within a round.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from ensemble_report import write_speed

BACKENDS = ("tensorflow", "jax")
MEMBERS, IMAGES, BATCH = 8, 2000, 100


def network():
    import keras_dcnn

    return keras_dcnn.models.small_cnn((32, 32, 3), 10, width=8)


def images():
    import numpy as np

    return np.random.default_rng(0).uniform(0, 255, (IMAGES, 32, 32, 3)).astype("float32")


def seconds(act):
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def warm(rounds):
    """Seconds for the same predictions: ours, and eight times a warm predict of one model."""
    import keras_dcnn

    models, x = [network() for _ in range(MEMBERS)], images()
    ensemble = keras_dcnn.ensemble.Ensemble(models)
    acts = {
        "ours": lambda: ensemble.predict(x, batch_size=BATCH, verbose=0),
        "8 × one warm predict": lambda: [
            models[0].predict(x, batch_size=BATCH, verbose=0) for _ in models
        ],
    }
    for act in acts.values():
        act()
    times = {name: [] for name in acts}
    for _ in range(rounds):
        for name, act in acts.items():
            times[name].append(seconds(act))
    (step,) = {one.step._compiled for one in ensemble._pool._members}
    on_jax = hasattr(step, "_cache_size")
    graphs = step._cache_size() if on_jax else step.experimental_get_tracing_count()
    return {"times": times, "graphs": graphs}


def save(folder):
    for i in range(MEMBERS):
        network().save(Path(folder, f"{i}.keras"))


def load_and_predict(folder):
    """What is most often written: every model loaded, and compiled, and its predictions added."""
    import keras

    x, total = images(), 0
    start = time.perf_counter()
    for path in sorted(Path(folder).glob("*.keras")):
        total += keras.saving.load_model(path).predict(x, batch_size=BATCH, verbose=0)
    return time.perf_counter() - start


def on_disk(folder):
    import keras_dcnn

    x = images()
    start = time.perf_counter()
    files = sorted(Path(folder).glob("*.keras"))
    ensemble = keras_dcnn.ensemble.EnsembleOnDisk(files, max_loaded=1)
    ensemble.predict(x, batch_size=BATCH, verbose=0)
    return time.perf_counter() - start


def here(what, *arguments):
    print(json.dumps(globals()[what](*(json.loads(one) for one in arguments))))


def elsewhere(backend, what, *arguments):
    """The same function in a process of its own, on the CPU."""
    env = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    env["CUDA_VISIBLE_DEVICES"] = "-1"
    command = [
        sys.executable,
        "-W",
        "ignore",
        __file__,
        "--here",
        what,
        *map(json.dumps, arguments),
    ]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main(rounds):
    measured = {}
    for backend in BACKENDS:
        one = measured[backend] = elsewhere(backend, "warm", rounds)
        with tempfile.TemporaryDirectory() as folder:
            elsewhere(backend, "save", folder)
            one["cold"] = {"load and predict": [], "ours, from disk": []}
            for _ in range(max(3, rounds // 3)):
                one["cold"]["load and predict"].append(
                    elsewhere(backend, "load_and_predict", folder)
                )
                one["cold"]["ours, from disk"].append(elsewhere(backend, "on_disk", folder))
        print(backend, {k: round(median(v), 3) for k, v in {**one["times"], **one["cold"]}.items()})
    write_speed(measured)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--here"]:
        here(*sys.argv[2:])
    else:
        parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
        parser.add_argument("--rounds", type=int, default=9)
        main(parser.parse_args().rounds)
