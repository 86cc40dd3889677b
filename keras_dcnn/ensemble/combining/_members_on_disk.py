"""Members in files, of which only so many are in memory at a time."""

import zipfile
from typing import NamedTuple

import keras

from keras_dcnn._files.members import DamagedMemberError, check_member
from keras_dcnn._keras.graph import all_layers
from keras_dcnn._structure.architecture import architecture_of
from keras_dcnn.ensemble.combining._members import Member, tensors

_CHUNK = 1 << 28  # bytes of the data that are held while all members are loaded once


class MemberFile(NamedTuple):
    """A file of weights, the configuration of its model, what it was trained on, and its name."""

    path: object
    config: dict
    checksum: str | None = None
    trained_on: object = None
    name: str | None = None

    def read(self, to_keep=True):
        """The model, with its weights; what is not `to_keep` forgets how it was initialised."""
        config = self.config if to_keep else _without_initializers(self.config)
        model = keras.saving.deserialize_keras_object(config)
        if any(hasattr(layer, "save_assets") for layer in all_layers(model)):
            raise ValueError(
                f"members on disk must have all their state in weights; {self.path} has layers "
                "with vocabularies or other assets: load it with Keras, and use Ensemble."
            )
        self.load_into(model)
        return model

    def load_into(self, model):
        if self.checksum:
            check_member(self.path, self.checksum)
        try:
            model.load_weights(self.path)
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise DamagedMemberError(
                f"every member must be as it was written; {self.path} can't be read ({error}): "
                "restore it, or leave it out."
            ) from error


def _without_initializers(config):
    """Zeros for all of them, since weights come from a file, and JAX compiles each kind of draw."""
    if isinstance(config, list):
        return [_without_initializers(one) for one in config]
    if not isinstance(config, dict):
        return config
    zeros = {"module": "keras.initializers", "class_name": "Zeros", "config": {}}
    return {
        key: {**zeros, "registered_name": None}
        if key.endswith("_initializer") and isinstance(value, dict)
        else _without_initializers(value)
        for key, value in config.items()
    }


class MembersOnDisk:
    """Runs members that are loaded at need into at most `max_loaded` models."""

    def __init__(self, files, max_loaded):
        self._files = files
        self._max_loaded = max_loaded
        self._keys = [architecture_of(file.config) or i for i, file in enumerate(files)]
        self._loaded = {}  # the latest last: number of a member → Member

    def __len__(self):
        return len(self._files)

    def name(self, i):
        path, name = self._files[i].path, self._files[i].name
        return f"member {i} `{name}`, {path}," if name else f"member {i}, {path},"

    def run(self, chosen, batches):
        """Each batch, (x, y, sample_weight), with the (outputs, losses) of the chosen members."""
        order = list(range(len(chosen)))
        for chunk in _chunks(batches, one_by_one=len(chosen) <= self._max_loaded):
            results = [[None] * len(chosen) for _ in chunk]
            for place in order:
                with self._member(chosen[place]).running() as run:
                    for batch, of_batch in zip(chunk, results, strict=True):
                        of_batch[place] = run(tensors(batch[0]))
            order.reverse()  # those that are loaded come first
            yield from zip(chunk, results, strict=True)

    def _member(self, i):
        full = len(self._loaded) >= self._max_loaded
        same = [j for j in self._loaded if self._keys[j] == self._keys[i]]
        if i in self._loaded:
            member = self._loaded.pop(i)
        elif full and same:
            member = self._loaded.pop(same[0])
            self._files[i].load_into(member.model)
        else:
            if full:
                self._loaded.pop(self._least_missed())
            model = self._files[i].read(to_keep=False)
            member = Member(model, self._loaded[same[0]].step if same else None)
        self._loaded[i] = member
        return member

    def _least_missed(self):
        """The oldest, but not the one whose model the graph of others was traced with."""
        steps = [member.step for member in self._loaded.values()]
        for j, member in self._loaded.items():
            if member.step.model is not member.model or steps.count(member.step) == 1:
                return j


def _chunks(batches, one_by_one):
    chunk, size = [], 0
    for batch in batches:
        chunk.append(batch)
        size += sum(leaf.nbytes for leaf in keras.tree.flatten(batch[0]))
        if one_by_one or size >= _CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
