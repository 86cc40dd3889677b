"""From features to the Probe: heads fitted, one taken, and put behind the network."""

import keras

from keras_dcnn._keras.compiling import jit_compile
from keras_dcnn._keras.fitting import print_message
from keras_dcnn.fine_tuning._features import pooled_network, say_nothing
from keras_dcnn.fine_tuning._selection import candidates_of, choose
from keras_dcnn.fine_tuning.probe import Probe


def probe_of(trunk, features, held_out, layers, head, num_classes, verbose=0):
    """The Probe of `Features` that the layers of a trunk gave, with others held out or None."""
    say = print_message if verbose and len(features.names) > 1 else say_nothing
    candidates = candidates_of(features, held_out, head, num_classes, say)
    taken = candidates[choose(candidates)]
    return Probe(
        model=_model(trunk, layers, taken),
        layer=taken.name,
        accuracy=taken.head.accuracy,
        C=taken.head.C,
        head=head,
        names=tuple(one.name for one in candidates),
        accuracies=tuple(one.head.accuracy for one in candidates),
        losses=tuple(one.head.loss for one in candidates),
        num_samples=len(features.y),
        num_held_out=len(taken.head.right),
    )


def _model(trunk, layers, taken):
    """Images to probabilities; the layers of the trunk are shared."""
    pooled = pooled_network(trunk, layers)[1]
    rows = pooled.outputs[taken.depths]
    x = rows[0] if len(rows) == 1 else keras.layers.Concatenate(name="features")(rows)
    kernel, bias = taken.head.kernel, taken.head.bias
    classes = keras.layers.Dense(len(bias), "softmax", dtype="float32", name="classes")
    model = keras.Model(pooled.inputs[0], classes(x), name=f"{trunk.name}_probe")
    classes.set_weights([kernel, bias])
    # To evaluate. Of SGD, which has no state, Keras loads again what was never trained.
    loss = "sparse_categorical_crossentropy"
    model.compile("sgd", loss, metrics=["accuracy"], jit_compile=jit_compile())
    return model
