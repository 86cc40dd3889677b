"""CheckpointEnsemble: keeps the best, last or all states of one training run as an ensemble."""

import os
import warnings
from collections.abc import Sequence
from typing import Any

import keras

from keras_dcnn._checks import as_path, check_choice, check_count
from keras_dcnn._files.atomic import remove_leftovers
from keras_dcnn._files.members import (
    ARCHITECTURE,
    MANIFEST,
    read_manifest,
    write_architecture,
    write_manifest,
    write_member,
    write_other_architecture,
)
from keras_dcnn.callbacks._kept_members import as_float, leaving, plain, why_turned_away
from keras_dcnn.callbacks._logs import Monitor, number_in
from keras_dcnn.callbacks._stateful_callback import StatefulCallback
from keras_dcnn.ensemble import EnsembleOnDisk

_MEMBERS = "member-*.weights.h5"


class CheckpointEnsemble(StatefulCallback):
    """Keeps several states of one training run on disk, to be used as an ensemble.

    The cheapest ensemble: one training, several members, and as a rule better than the best of
    them.

    Fires at the end of every `every`-th epoch and writes the model's weights, without the
    optimizer's, as `member-0007.weights.h5` (7 is the number of epochs that this callback has
    seen), beside `manifest.json`, which lists file, epoch, value and SHA-256 checksum, and
    `architecture.json`. A file is written whole or not at all, also in a crash. When the disk is
    full or closed to us, a warning says so, the epoch has no member, and the training goes on.
    `ensemble()` loads the members, after training or, from the same directory, days later.

    A killed run that is resumed (`ResumeTraining`) goes on with its members. For that a member that
    was turned out stays until the next is written.

    Args:
        directory: Where to write; made if missing. Must not hold the members of another run.
        keep: `"best"` keeps the `max_members` best by `monitor`, the earlier one in a tie, none
            whose value is NaN or missing, an infinite one as the worst or the best; `"last"` keeps
            the last `max_members`; `"all"` keeps all; `"cycle"` the last `max_members` of those
            that `SnapshotSchedule`, also in the callbacks, ends its cycles with.
        max_members: Number of members but for "all", ≥ 1. There is at most one more on disk.
        monitor: Quantity of the logs that ranks the members.
        every: Epochs from one candidate to the next, ≥ 1; not for "cycle".
        mode: `"min"` or `"max"`: which value of `monitor` is better; `"auto"` asks Keras's metric.

    Raises:
        ValueError: for an argument outside the ranges above; at the start of `fit`, when the
            directory holds the members of another model or run, and for "cycle" without
            `SnapshotSchedule`; at the end of the first epoch, when `mode="auto"` and Keras does
            not know the metric's direction; from `ensemble()`, when there is no member or one does
            not match its checksum.
        OSError: at the start of `fit`, when the directory can't be made.

    Example:

    ```python
    import tempfile
    import keras
    import numpy as np
    import keras_dcnn

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    checkpoints = keras_dcnn.callbacks.CheckpointEnsemble(tempfile.mkdtemp(), monitor="loss")
    x, y = np.random.default_rng(0).random((12, 4)), np.arange(12) % 3
    model.fit(x, y, epochs=3, callbacks=[checkpoints], verbose=0)
    print(checkpoints.ensemble().predict(x, verbose=0).shape)
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 8.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
    """

    kept = ("epochs_seen", "turned_out")
    of_the_fit = ("_schedule",)
    keeps_weights = "of the end"

    def __init__(
        self,
        directory: str | os.PathLike[str],
        keep: str = "best",
        max_members: int = 5,
        monitor: str = "val_loss",
        every: int = 1,
        mode: str = "auto",
    ) -> None:
        super().__init__()
        check_choice("keep", keep, ("best", "last", "all", "cycle"))
        check_count("max_members", max_members)
        check_count("every", every)
        self._monitor = Monitor("CheckpointEnsemble", monitor, mode)
        self.directory = as_path("directory", directory)
        self.keep = keep
        self.max_members = max_members
        self.monitor = monitor
        self.every = every
        self.mode = mode
        self._epochs_seen, self._turned_out, self._why_none = 0, [], None

    @property
    def members(self) -> list[dict[str, Any]]:
        """Entries of the manifest, in the order of training: file, epoch, value, sha256."""
        return [entry | {"value": as_float(entry["value"])} for entry in self._entries()]

    def _entries(self):
        written = (self.directory / MANIFEST).is_file()
        return read_manifest(self.directory)["members"] if written else []

    def reset(self) -> None:
        found = len(list(self.directory.glob(_MEMBERS)))
        if found:
            raise ValueError(
                f"`directory` must not hold the members of another run; {self.directory} holds "
                f"{found}: choose another directory, or delete them."
            )
        self._epochs_seen, self._turned_out, self._why_none = 0, [], None
        self._monitor.mode = self.mode
        self._keep_only([])

    def get_state(self) -> dict[str, Any]:
        return {**super().get_state(), "mode": self._monitor.mode, "members": self._entries()}

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        self._monitor.mode = state["mode"]
        there = [one for one in state["members"] if (self.directory / one["file"]).is_file()]
        gone = [one["file"] for one in state["members"] if one not in there]
        if gone:
            warnings.warn(
                f"CheckpointEnsemble goes on without {', '.join(gone)}, no longer there.",
                stacklevel=2,
            )
        self._keep_only(there)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_begin(logs)
        self.directory.mkdir(parents=True, exist_ok=True)
        for pattern in (_MEMBERS, MANIFEST, ARCHITECTURE):
            remove_leftovers(self.directory, pattern)
        keras.saving.serialize_keras_object(self.model)  # raises now if the model has no config
        self._schedule = next(
            (c for c in self._run.callbacks.values() if hasattr(c, "ends_cycle")), None
        )
        if self.keep == "cycle" and self._schedule is None:
            raise ValueError(
                "keep='cycle' needs a SnapshotSchedule among the callbacks of `fit`; there is none."
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        super().on_epoch_end(epoch, logs)
        self._epochs_seen += 1
        is_candidate = self._epochs_seen % self.every == 0
        if self.keep == "cycle":
            is_candidate = self._schedule.ends_cycle(epoch + 1)
        if not is_candidate:
            return
        value = number_in(logs, self.monitor)
        if self.keep == "best":
            value = self._monitor.read(self.model, logs)
            self._why_none = (
                None if value is not None else why_turned_away(self.monitor, epoch, logs)
            )
        members = self._entries()
        gone = leaving(members, value, self.keep, self.max_members, self._monitor.cost)
        if gone is None:
            return
        kept = [member for member in members if member not in gone]
        self._delete(self._turned_out)
        try:
            self._write(epoch, value, kept)
        except OSError as error:
            self._why_none = f"that of epoch {epoch + 1} could not be written ({error})"
            warnings.warn(
                f"Epoch {epoch + 1}: CheckpointEnsemble could not write a member ({error}); the "
                "training goes on.",
                stacklevel=2,
            )
        else:
            self._turned_out = [member["file"] for member in gone]

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_end(logs)
        self._delete(self._turned_out)
        self._turned_out = []

    def _delete(self, files):
        for file in files:
            (self.directory / file).unlink(missing_ok=True)

    def _keep_only(self, members):
        """List these members, and delete what others a run left that was killed."""
        if members or (self.directory / MANIFEST).is_file():
            write_manifest(self.directory, members, monitor=self.monitor)
        known = {member["file"] for member in members} | set(self._turned_out)
        paths = self.directory.glob(_MEMBERS)
        self._delete(path.name for path in paths if path.name not in known)

    def _write(self, epoch, value, kept):
        """The member first, then the manifest that lists it: a crash leaves the old list right."""
        architecture = {}
        if kept:
            architecture = write_other_architecture(self.model, self.directory)
        else:
            write_architecture(self.model, self.directory / ARCHITECTURE)
        file = self.directory / f"member-{self._epochs_seen:04d}.weights.h5"
        entry = write_member(self.model, file) | architecture
        entry |= {"epoch": epoch + 1, "value": plain(value)}
        try:
            write_manifest(self.directory, [*kept, entry], monitor=self.monitor)
        except OSError:
            file.unlink()
            raise

    def ensemble(
        self,
        combine: str = "probability",
        weights: Sequence[float] | None = None,
        damaged: str = "raise",
    ) -> EnsembleOnDisk:
        """Load the members and combine them; see `keras_dcnn.ensemble.Ensemble`.

        `damaged="skip"` goes on without members whose file is missing or damaged, with a warning.
        `keras_dcnn.ensemble.EnsembleOnDisk` of the directory keeps them on disk.
        """
        if not self.members:
            rule = "there must be at least one member"
            raise ValueError(f"{rule}; {self.directory} holds none: {self._reason()}.")
        return EnsembleOnDisk(self.directory, combine, weights, damaged=damaged).load()

    def _reason(self):
        """Why there is no member."""
        if not self._epochs_seen:
            return "train with this callback first, or correct `directory`"
        if self.keep == "cycle":
            return self._why_none or "no cycle of SnapshotSchedule has ended, with a member kept"
        if self._epochs_seen < self.every:
            return f"`every` is {self.every}, and it has seen {self._epochs_seen} epochs"
        return self._why_none or f"it has seen {self._epochs_seen} epochs, and no member is left"
