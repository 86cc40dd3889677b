"""Files of weights, read dataset by dataset and held against the model they are for."""

import contextlib
import tempfile
import zipfile

import h5py
import keras

from keras_dcnn._files.members import DamagedMemberError
from keras_dcnn._keras.saving import dataset_in, weight_places


def float_weights(model):
    """The weights that are averaged: not seeds, counts and other whole numbers."""
    return [w for w in model.weights if keras.backend.is_float_dtype(w.dtype)]


def unreadable(name, error):
    """The error for a file that is missing, damaged or cut off."""
    return DamagedMemberError(
        f"every checkpoint must be a whole file of weights; {name} can't be read ({error}): "
        "restore it, or leave it out."
    )


def other_architecture(name, model, how):
    """The error for weights of another model."""
    return ValueError(
        f"every checkpoint must have the architecture of `{model.name}`; {name} has another: {how}."
    )


def other_shape(name, model, weight, shape):
    """The error for a weight of another shape."""
    how = f"`{weight.path}` has the shape {tuple(shape)} there, {tuple(weight.shape)} in the model"
    return other_architecture(name, model, how)


def datasets(path, model):
    """What opens the file and gives a dataset for each of the model's float weights.

    Raises ValueError, and DamagedMemberError which is one, unless the file is for the model.
    """
    places = weight_places(model)
    by_variable = {id(value): place for place, value in places.items()}
    chosen = []
    for variable in float_weights(model):
        if id(variable) not in by_variable:
            raise ValueError(
                f"`{variable.path}` is saved in a way of its layer's own, so {path} can't be "
                "averaged part by part: load it, and give the models."
            )
        chosen.append(by_variable[id(variable)])
    with _opened(path) as file:
        _check_layout(path, file, model, places)

    @contextlib.contextmanager
    def sources():
        with _opened(path) as file:
            yield (dataset_in(file, place) for place in chosen)

    return sources


@contextlib.contextmanager
def _opened(path):
    """A file of weights, open; that inside a `.keras` file is unpacked, to disk."""
    with contextlib.ExitStack() as stack:
        try:
            file = path
            if path.suffix == ".keras":
                folder = stack.enter_context(tempfile.TemporaryDirectory())
                with zipfile.ZipFile(path) as archive:
                    file = archive.extract("model.weights.h5", folder)
            file = stack.enter_context(h5py.File(file, "r"))
        except (OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
            raise unreadable(path, error) from error
        yield file


def _check_layout(path, file, model, places):
    """Raise ValueError unless the file has what the model would save, and nothing else."""
    shapes = {}

    def note(name, thing):
        if isinstance(thing, h5py.Dataset):
            shapes[name] = thing.shape

    file.visititems(note)
    for place, value in places.items():
        shape = tuple(value.shape) if hasattr(value, "shape") else None
        label = getattr(value, "path", place)
        if place not in shapes:
            how = f"it has nothing for `{label}` of the shape {shape}"
            raise other_architecture(path, model, how)
        if isinstance(value, keras.Variable) and shapes[place] != shape:
            raise other_shape(path, model, value, shapes[place])
    for place, shape in shapes.items():
        if place not in places and not _is_state_of_training(place, shapes):
            how = f"it has {place} of the shape {shape}, the model has not"
            raise other_architecture(path, model, how)


def _is_state_of_training(place, shapes):
    """Whether it is the optimizer's, or what ResumeTraining left."""
    top = place.partition("/")[0]
    return top == "optimizer" or f"{top}/vars/text" in shapes
