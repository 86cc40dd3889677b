"""A process that holds some contestants, idle until one of them is to be set up or measured.

`Worker` is the parent's side, `main` the child's; between them goes a line of JSON each way.
"""

import json
import os
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

from contestants import Unavailable, load
from measure import check_draws, images_per_second

CPU_ONLY = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "NO_ALBUMENTATIONS_UPDATE": "1"}


class Worker:
    """A child process for the contestants of one name: a Keras backend or a peer."""

    def __init__(self, name):
        backend = {"jax": "jax", "gpu": "jax", "torch": "torch"}.get(name, "tensorflow")
        self._stderr = tempfile.TemporaryFile("w+")  # noqa: SIM115, it lives as long as this
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            env={
                **os.environ,
                **QUIET,
                **({} if name == "gpu" else CPU_ONLY),
                "KERAS_BACKEND": backend,
            },
        )

    def ask(self, task, label):
        """What `task` ("build" or "measure") gave: {"rate"}, {"unavailable"} or {"error"}."""
        try:
            print(json.dumps([task, label]), file=self._process.stdin, flush=True)
            return json.loads(self._process.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError):
            self._stderr.seek(0)
            return {"error": f"the process has died:\n{self._stderr.read()[-2000:]}"}

    def close(self):
        self._process.stdin.close()
        self._process.wait()


def main():
    """Answer the parent until it closes the pipe."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not come between the answers
    contestants, steps = load(), {}
    for line in sys.stdin:
        task, label = json.loads(line)
        print(json.dumps(_answer(task, contestants[label], steps)), file=answers, flush=True)


def _answer(task, contestant, steps):
    try:
        if task == "build":
            step = steps[contestant.label] = contestant.build()
            check_draws(step) if contestant.draws else step()
            return {}
        return {"rate": images_per_second(steps[contestant.label], contestant.images)}
    except ModuleNotFoundError as error:
        return {"unavailable": f"{error.name} is not installed"}
    except Unavailable as error:
        return {"unavailable": str(error)}
    except Exception:
        return {"error": traceback.format_exc(limit=-3)}


if __name__ == "__main__":
    main()
