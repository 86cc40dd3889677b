"""The layers of a model and how they are connected."""

import keras

from keras_dcnn._keras.graph import functional, users_of


def is_graph(model):
    """True for Sequential and functional models, which their layers and connections make out.

    Not for classes of the user's with an `__init__` of their own, which hold what isn't seen.
    """
    base = keras.Sequential if isinstance(model, keras.Sequential) else functional()
    return isinstance(model, base) and type(model).__init__ is base.__init__


def followers(model, layer):
    """The operations of a graph model that use the output of `layer`, directly or through others.

    In the order of their distance.
    """
    if isinstance(model, keras.Sequential):
        return model.layers[model.layers.index(layer) + 1 :]
    inside, found, waiting = set(model.operations), {}, [layer]
    while waiting:
        for operation in users_of(waiting.pop(0)):
            if operation in inside and operation not in found:
                found[operation] = None
                waiting.append(operation)
    return list(found)
