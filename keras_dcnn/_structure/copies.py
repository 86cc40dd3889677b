"""A copy of a built model with its weights, by way of Keras's own file format."""

import tempfile
import warnings
from pathlib import Path

import keras

from keras_dcnn._keras.graph import walk_layers


def custom_classes(model):
    """A scope in which Keras finds the classes of the model and its layers, registered or not."""
    classes = [type(model), *(type(layer) for _, layer in walk_layers(model))]
    return keras.saving.custom_object_scope({one.__name__: one for one in classes})


def copy_model(model, purpose):
    """A copy of a built model, uncompiled, that shares nothing with it.

    By way of a file since that is how Keras copies vocabularies and other state that is no weight.
    Raises ValueError, which says what for, where Keras can't; so it is with a layer that a model
    shares with one nested in it, which Keras 3.15 saves and does not load.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        custom_classes(model),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "The object being serialized includes a `lambda`")
        path = Path(folder) / "model.keras"
        try:
            model.save(path)
            copy = keras.saving.load_model(path, compile=False, safe_mode=False)
            if list(dict(walk_layers(copy))) != list(dict(walk_layers(model))):
                raise ValueError("what is loaded has other layers")
        except (AttributeError, NotImplementedError, TypeError, ValueError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ValueError(
                f"{purpose} needs a copy of `{model.name}`, and Keras can't save it and load it "
                f"again ({reason[:200]}): give {type(model).__name__} and its layers a "
                "`get_config`, or their regularizers and constraints as they are made."
            ) from error
    for old, new in zip(model.variables, copy.variables, strict=True):
        # For some that a file has not got Keras only warns. JAX would share the buffer.
        new.assign(keras.ops.convert_to_numpy(old))
    return copy
