"""Puts Dropout into a model that exists, in front of its Dense layers."""

import keras

from keras_dcnn._keras.graph import all_layers
from keras_dcnn._structure.layers import is_graph


def insert_dropout(model, rate, chosen):
    """The layers of `model` in a new graph, dropout before those whose id is in `chosen`.

    Returns it and how many Dense layers have got it: those with weights somewhere before them.
    """
    inserter = _Inserter(rate, chosen)
    flags = {id(layer): layer.trainable for layer in all_layers(model)}
    rebuilt = inserter.rebuild(model, False)
    flags |= {id(again): flags[before] for before, again in inserter.rebuilt.items()}
    for layer in all_layers(rebuilt):  # holders first, for they pass theirs on
        layer.trainable = flags.get(id(layer), True)
    return rebuilt, len(inserter.dropouts)


class _Inserter:
    def __init__(self, rate, chosen):
        self.rate = rate
        self.chosen = chosen
        self.dropouts = {}  # by the id of the Dense layer
        self.rebuilt = {}  # by the id of the nested model

    def rebuild(self, model, learned):
        """A model of the same layers; `learned` says whether weights come before its inputs."""
        if not is_graph(model):
            return model
        if id(model) not in self.rebuilt:
            sequential = isinstance(model, keras.Sequential)
            make = self._sequential if sequential else self._functional
            self.rebuilt[id(model)] = make(model, learned)
        return self.rebuilt[id(model)]

    def _sequential(self, model, learned):
        start = model.inputs[0]
        layers = [keras.Input(batch_shape=start.shape, dtype=start.dtype, name=start.name)]
        for layer in model.layers:
            if id(layer) in self.chosen and learned:
                layers += self._in_front(layer, layers[-1])
            layers.append(self.rebuild(layer, learned))
            learned = learned or bool(layer.weights)
        return keras.Sequential(layers, name=model.name)

    def _functional(self, model, learned):
        makers = {}  # of the tensors: the tensor, its layer, whether weights come before it

        def call(layer, *args, **kwargs):
            inputs = [makers.get(id(x), (x, None, learned)) for x in keras.tree.flatten(args)]
            before = any(learned for _, _, learned in inputs)
            if id(layer) in self.chosen and before:
                for dropout in self._in_front(layer, inputs[0][1]):
                    args = (dropout(args[0]), *args[1:])
            outputs = self.rebuild(layer, before)(*args, **kwargs)
            before = before or bool(getattr(layer, "weights", ()))
            for x in keras.tree.flatten(outputs):
                makers[id(x)] = x, layer, before
            return outputs

        # The same layers, called anew: each keeps its weights.
        return keras.models.clone_model(model, clone_function=lambda x: x, call_function=call)

    def _in_front(self, layer, previous):
        """The Dropout to insert before `layer`, or none if there is one to set the rate of."""
        if isinstance(previous, keras.layers.Dropout) and previous.rate > 0:
            previous.rate = self.rate
            self.dropouts[id(layer)] = previous
            return []
        if id(layer) not in self.dropouts:
            self.dropouts[id(layer)] = keras.layers.Dropout(
                self.rate, name=f"{layer.name}_dropout", dtype=layer.dtype_policy
            )
        return [self.dropouts[id(layer)]]
