"""EnsembleOnDisk: members that are loaded at need, so that memory holds only some of them."""

import json
import os
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_dcnn._checks import as_path, check_choice, check_count, check_shares
from keras_dcnn._files.members import (
    DamagedMemberError,
    check_member,
    listed_members,
    read_architecture,
)
from keras_dcnn._structure.architecture import without_names
from keras_dcnn.ensemble.combining._combination import COMBINE
from keras_dcnn.ensemble.combining._combined_model import CombinedModel
from keras_dcnn.ensemble.combining._members_on_disk import MemberFile, MembersOnDisk
from keras_dcnn.ensemble.combining._models import in_order, shapes_of, split_names
from keras_dcnn.ensemble.combining.ensemble import Ensemble, check_answers


class EnsembleOnDisk(CombinedModel):
    """An ensemble whose members stay on disk and are loaded at need.

    For more members than memory holds. It predicts, evaluates and measures as `Ensemble` does.
    Data are read once, in pieces of 256 MiB, and for each piece the members are loaded in turn, so
    that memory depends on neither the number of members nor that of the images. Members of one
    architecture share one compiled graph.

    Files are checked when it is made, against the checksums of the directory or of the `.keras`
    archive. `load()` brings all members into memory, as an `Ensemble` that saves into one file.

    Args:
        files: A directory that `CheckpointEnsemble`, `train_from_seeds` or
            `CrossValidationEnsemble` wrote, or a list of `.keras` files, or a dict of names.
        combine: As for `Ensemble`.
        weights: One number ≥ 0 per member, a list or a dict of their names, or None for equal
            weights. Members of weight 0 are not run, and may be missing or damaged: they are left
            out then.
        max_loaded: Number of members in memory at a time, ≥ 1. With fewer than there are
            architectures, graphs are compiled again.
        damaged: What a missing or damaged file does: `"raise"`, or `"skip"` to go on with the
            others, with a warning that names it.

    Raises:
        ValueError: for no members, members that differ in input or output shapes, a damaged file,
            and an argument outside the ranges above; from `predict` for NaN.
        TypeError: for an unknown keyword.

    Example:

    ```python
    import tempfile
    import keras
    import numpy as np
    import keras_dcnn

    folder = tempfile.mkdtemp()
    for i in range(3):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
        model.save(f"{folder}/{i}.keras")
    files = [f"{folder}/{i}.keras" for i in range(3)]
    ensemble = keras_dcnn.ensemble.EnsembleOnDisk(files, max_loaded=1)
    print(ensemble.predict(np.ones((2, 4)), verbose=0).shape)
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 8.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
    """

    def __init__(
        self,
        files: str
        | os.PathLike[str]
        | Sequence[str | os.PathLike[str]]
        | Mapping[str, str | os.PathLike[str]],
        combine: str = "probability",
        weights: Sequence[float] | Mapping[str, float] | None = None,
        max_loaded: int = 1,
        damaged: str = "raise",
    ) -> None:
        check_choice("combine", combine, tuple(COMBINE))
        check_count("max_loaded", max_loaded)
        check_choice("damaged", damaged, ("raise", "skip"))
        super().__init__()
        vars(self)["_given"] = (files, combine, weights, max_loaded, damaged)
        members, self.member_weights, compile_config = _find(files, weights, damaged)
        self.name_outputs(_check_architectures(members, combine))
        self.files = [member.path for member in members]
        self.combine = combine
        self.max_loaded = max_loaded
        self._pool = MembersOnDisk(members, max_loaded)
        self._members = members
        self.built = True
        self._compile_config_of_members = compile_config
        if compile_config:
            self.compile_for_evaluation(compile_config)

    def __reduce__(self):
        """Pickled and copied as what it was made of and how it is compiled; files stay files."""
        return _make, (self._given, self.get_compile_config() if self.compiled else None)

    @property
    def trained_on(self) -> np.ndarray | None:
        """Fingerprints of what the members were trained on, for `trained_on` of other parts.

        An array, as `train_from_seeds` and `CrossValidationEnsemble` left it in the directory; None
        where it is not known of each member. `StackedEnsemble.fit`, `LateFusion.learn_weights` and
        `compare_ensembles` take it in place of the images.
        """
        files = {member.trained_on for member in self._members}
        return None if None in files else np.unique(np.concatenate([*map(np.load, files)]))

    def load(self) -> Ensemble:
        """All members in memory, as an `Ensemble`."""
        models = [member.read() for member in self._members]
        if self._members[0].name:
            models = {member.name: m for member, m in zip(self._members, models, strict=True)}
        ensemble = Ensemble(models, combine=self.combine, weights=self.member_weights)
        if self._compile_config_of_members:
            ensemble.compile_for_evaluation(self._compile_config_of_members)
        return ensemble

    def call(self, inputs: Any, training: bool = False) -> Any:
        raise NotImplementedError(
            "the members are on disk: call `predict` or `evaluate`, or `load()` for a model that "
            "can be called, trained, saved and exported."
        )

    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        raise ValueError("an EnsembleOnDisk can't be trained: train its members.")

    def save(self, *args: Any, **kwargs: Any) -> None:
        raise ValueError("the members are saved already: `load()` gives what saves as one file.")

    def export(self, *args: Any, **kwargs: Any) -> None:
        raise ValueError("the members are on disk: `load()` gives what can be exported.")


def _make(given, compile_config):
    ensemble = EnsembleOnDisk(*given)
    if compile_config:
        ensemble.compile_from_config(compile_config)
    return ensemble


def _find(files, weights, damaged):
    """The members that are whole, their weights, and how the first of them was compiled."""
    names, files = split_names("files", files)
    weights = in_order("weights", weights, names)
    if isinstance(files, (str, os.PathLike)):
        listed = listed_members(as_path("files", files))
    elif hasattr(files, "__iter__"):
        listed = [as_path("files", path) for path in files]
    else:
        raise TypeError(
            "`files` must be a directory, a list of files or a dict of names; got "
            f"{type(files).__name__}."
        )
    if not listed:
        raise ValueError(f"there must be at least one member; {files} has none.")
    weights = check_shares("weights", weights, len(listed), "member")
    whole, kept = [], []
    for i, one in enumerate(listed):
        try:
            member, config = (_in_archive if isinstance(one, Path) else _in_directory)(one)
            whole.append((member._replace(name=names[i] if names else None), config))
            kept.append(weights[i] if weights else 1.0)
        except DamagedMemberError as error:
            if weights and not weights[i]:
                continue
            if damaged == "raise":
                raise
            warnings.warn(f"left out of the ensemble: {error}", stacklevel=3)
    if not any(kept):
        counting = " that count" if whole else ""
        raise ValueError(
            f"there must be at least one member; all{counting} of {files} are damaged."
        )
    kept = check_shares("weights", kept if weights else None, len(kept), "member")
    return [member for member, _ in whole], kept, whole[0][1]


def _in_directory(listed):
    """A member that a manifest lists, which is whole, and how it was compiled."""
    check_member(listed.path, listed.checksum)
    config, compile_config = read_architecture(listed.architecture)
    return MemberFile(listed.path, config, listed.checksum, listed.trained_on), compile_config


def _in_archive(path):
    """The same of a `.keras` file."""
    if path.suffix != ".keras":
        raise ValueError(f"`files` must be a directory or a list of .keras files; got {path}.")
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            config = json.loads(archive.read("config.json"))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        damaged = error
    if damaged:
        raise DamagedMemberError(
            f"every member must be as it was written; {path} is missing or damaged ({damaged}): "
            "restore it, or leave it out."
        )
    compile_config = config.pop("compile_config", None)
    return MemberFile(path, config), compile_config


def _check_architectures(members, combine):
    """Read one member of each, at most two at a time; return the first's names of outputs."""
    shapes, names = None, None
    for member in {without_names(member.config): member for member in members[::-1]}.values():
        model = member.read(to_keep=False)
        check_answers(f"the member {member.path}", model, combine)
        found = shapes_of(model)
        if shapes not in (None, found):
            raise ValueError(
                f"`files` must hold members with the same input and output shapes; some have "
                f"{shapes}, {member.path} {found}."
            )
        shapes, names = found, getattr(model, "output_names", None)
    return names
