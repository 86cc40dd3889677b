"""Runs a model as at inference, and measures what comes out of its layers."""

import contextlib
import functools
import weakref

import keras

from keras_dcnn._keras.compiling import compiled_run, is_traced
from keras_dcnn._state.layer_calls import intercepted, shadowed


class LayerOutputs:
    """What `measure(layer, inputs, outputs)` says of the calls of the layers `choose(model)`.

    It gives a dict of tensors for each call. The run is compiled once for each shape of inputs. The
    model is not kept alive by this, so that it can be kept with the model.
    """

    def __init__(self, model, choose, sample, measure):
        self._model, self._measure = weakref.ref(model), measure
        self.layers = _called(model, choose, sample)
        self._run = compiled_run(model, functools.partial(_measured, self._model, self))

    def read(self, inputs, batch_size):
        """For each batch a list of the layers' lists of calls, and the measures of the outputs."""
        for start in range(0, len(keras.tree.flatten(inputs)[0]), batch_size):
            batch = keras.tree.map_structure(
                lambda x, at=start: keras.ops.convert_to_tensor(x[at : at + batch_size]), inputs
            )
            yield keras.tree.map_structure(keras.ops.convert_to_numpy, self._run(batch))

    def measured(self, model, inputs):
        """The lists of calls, and the measures of the model's own outputs, for layer None."""
        calls = {id(layer): [] for layer in self.layers}

        def note(layer, call, *args, **kwargs):
            outputs = call(*args, **kwargs)
            taken = keras.tree.flatten((args, kwargs))
            calls[id(layer)].append(self._measure(layer, taken[0], _first(outputs)))
            return outputs

        with contextlib.ExitStack() as stack:
            for layer in self.layers:
                call = functools.partial(note, layer, layer.call)
                stack.enter_context(shadowed(layer, call=call))
            outputs = model(inputs, training=False)
        last = [self._measure(None, None, one) for one in keras.tree.flatten(outputs)]
        return [*calls.values(), last]


def _measured(model, outputs, inputs):
    return outputs.measured(model(), inputs)


def _called(model, choose, sample):
    """The layers that are called, in order, but for those inside loops and the like."""
    model(sample, training=False)  # builds what TensorFlow builds in its first step
    called, hidden = {}, set()

    def visit(layer, call):
        called[id(layer)] = layer
        if is_traced(call.args, call.keywords):
            hidden.add(id(layer))

    with intercepted(choose(model), visit):
        model(sample, training=False)
    return [layer for key, layer in called.items() if key not in hidden]


def _first(outputs):
    return keras.tree.flatten(outputs)[0]  # of recurrent layers, states follow
