"""What a run of several trainings keeps in its directory, so that it goes on after a kill.

`run.json` says which run it is. A finished training NAME has three files: `NAME.weights.h5`,
`NAME.npz` with its history, metrics and held-out predictions, and, written last, `NAME.json` with
the checksums of both. `manifest.json` comes at the end and lists the chosen members.
"""

import shutil
import tempfile
import warnings
import weakref
from pathlib import Path

import numpy as np

from keras_dcnn._files.atomic import atomic_write, remove_leftovers, sha256, write_json
from keras_dcnn._files.members import MANIFEST, write_manifest, write_member
from keras_dcnn._files.runs import begin_run, read_json
from keras_dcnn._structure.descriptions import describe


class TemporaryFolder:
    """A folder that goes with this object, of which a pickle and a copy hold the files too."""

    def __init__(self, files=()):
        self.path = Path(tempfile.mkdtemp())
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
        for name, content in files:
            (self.path / name).write_bytes(content)

    def __reduce__(self):
        return TemporaryFolder, ([(one.name, one.read_bytes()) for one in self.path.iterdir()],)


def begin(directory, run):
    """Make the directory that of this run, or see that it is already; ValueError if of another."""
    directory.mkdir(parents=True, exist_ok=True)
    for pattern in ("*.json", "*.npz", "*.npy", "*.weights.h5"):
        remove_leftovers(directory, pattern)
    holds_members = (directory / MANIFEST).exists() or any(directory.glob("*.weights.h5"))
    begin_run(directory, describe(run), holds_members)


def write_result(directory, name, model, arrays, seconds):
    """Write what a training gave; it counts as done with the last file."""
    entry = write_member(model, directory / f"{name}.weights.h5")
    path = directory / f"{name}.npz"
    with atomic_write(path) as temporary:
        np.savez(temporary, **arrays)
    files = {entry["file"]: entry["sha256"], path.name: sha256(path)}
    write_json(directory / f"{name}.json", {"files": files, "seconds": round(seconds, 3)})


def write_array(path, array):
    """Write an array to a `.npy` file, whole or not at all."""
    with atomic_write(path) as temporary:
        np.save(temporary, array, allow_pickle=False)


def architecture_file(configuration):
    """The name of the file that says of what models the members of a configuration are."""
    return f"architecture-{configuration:03d}.json"


def write_best(directory, monitor, best, prints):
    """List the best, (job, entry, score) each, with the fingerprints of what it was trained on."""
    members = []
    for job, entry, score in best:
        seen = f"fold-{job.fold}.prints.npy"
        write_array(directory / seen, prints[job.rows])
        more = {"architecture": architecture_file(job.configuration), "trained_on": seen}
        more |= {"configuration": job.configuration, "fold": job.fold}
        members.append({**entry, **more, "parameters": describe(job.parameters), "value": score})
    write_manifest(directory, members, monitor=monitor)


def is_done(directory, name, label):
    """Whether all files of a training are there and whole; warns where they once were."""
    path = directory / f"{name}.json"
    if not path.is_file():
        return False
    files = (read_json(path) or {}).get("files")
    if not isinstance(files, dict) or set(files) != {f"{name}.weights.h5", f"{name}.npz"}:
        files = {path.name: None}
    damaged = [f for f, checksum in files.items() if not _matches(directory / f, checksum)]
    if damaged:
        warnings.warn(
            f"{directory / damaged[0]} is missing or was changed: {label} is trained again.",
            stacklevel=2,
        )
        path.unlink()
    return not damaged


def read_result(directory, name):
    """The entry of the manifest for a finished training, and its arrays by name."""
    path = directory / f"{name}.json"
    if not path.is_file():
        raise ValueError(
            f"`directory` must be one that every worker and this process see; {path}, which a "
            "worker wrote, is not here: choose one on a file system that they share."
        )
    member = f"{name}.weights.h5"
    entry = {"file": member, "sha256": read_json(path)["files"][member]}
    with np.load(directory / f"{name}.npz", allow_pickle=False) as arrays:
        return entry, dict(arrays)


def history_of(arrays):
    """What `fit` recorded of a finished training: a list of numbers for each name."""
    names = [name for name in arrays if name.startswith("history/")]
    return {name.removeprefix("history/"): arrays[name].tolist() for name in names}


def _matches(path, checksum):
    return path.is_file() and sha256(path) == checksum
