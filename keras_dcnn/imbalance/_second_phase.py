"""What a training step does otherwise in a second phase: the head alone, or weights of classes."""

import contextlib
import functools
import weakref
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_dcnn._checks import check_built_model, check_shares
from keras_dcnn._keras.calls import calls_of
from keras_dcnn._keras.graph import all_layers
from keras_dcnn._keras.optimizers import (
    leaf_optimizers,
    reset_slots,
    trained_by,
    trains_by_itself,
)
from keras_dcnn._state.layer_calls import at_inference, shadowed
from keras_dcnn._state.random_state import seeded
from keras_dcnn._structure.groups import groups_of_layers, groups_of_variables
from keras_dcnn._structure.layer_of_classes import layer_of_classes

_WITH_STATISTICS = (keras.layers.BatchNormalization, keras.layers.SpectralNormalization)


class Head(NamedTuple):
    """The layers that the second phase trains, and what it leaves alone."""

    layers: list[Any]
    variables: set[int]  # those that are trained, by id
    held: list[Any]  # layers with statistics, of the rest


def head_of(model, where):
    """The Head that `where` means, or the layer of classes for None; ValueError if none is seen."""
    check_built_model(model)
    if where is None:
        calls = calls_of(model)
        call = None if calls is None or len(model.outputs) > 1 else layer_of_classes(calls)
        if call is None:
            raise ValueError(
                f"the form 'head' needs a layer of classes; `{model.name}` does not end in a Dense "
                "layer or a convolution with a softmax, a sigmoid or no activation: say which "
                "layers are the head, as in head='dense_2'."
            )
        wanted, where = call.operation, lambda layer: layer is wanted
    chosen = groups_of_layers(model, [where])
    variables, groups = groups_of_variables(model, [where])
    if 0 not in groups:
        raise ValueError(
            "`head` must be layers with weights that are trained; of those of "
            f"`{model.name}` it has none: see the names in model.summary(), and that `trainable` "
            "is True."
        )
    own = {id(v) for v, group in zip(variables, groups, strict=True) if group == 0}
    layers = all_layers(model)
    rest = [one for one in layers if id(one) not in chosen and isinstance(one, _WITH_STATISTICS)]
    return Head([one for one in layers if id(one) in chosen], own, rest)


def _check_steps_can_be_changed(owner, model):
    """Raise ValueError for a model whose training steps are not Keras's own."""
    if not model.compiled:
        raise ValueError(f"{owner} needs a compiled model; `{model.name}` is not: compile it.")
    if trains_by_itself(model) or not isinstance(model.optimizer, keras.optimizers.Optimizer):
        raise ValueError(
            f"{owner} needs a model that Keras's own `fit` trains with one of its optimizers; "
            f"`{model.name}`, a {type(model).__name__}, does it in a way of its own: use the form "
            "'balanced'."
        )


def changes_of(form, model, head, class_weight):
    """What a form changes in the steps of a model; ValueError, in words, where it can't."""
    if form not in ("head", "reweighted"):
        return {}
    _check_steps_can_be_changed(f"the form '{form}'", model)
    if form == "reweighted":
        return {"class_weight": as_weights(class_weight, outputs_of(model))}
    _check_averages_nothing(model)
    return {"head": head_of(model, head)}


def _check_averages_nothing(model):
    """Raise ValueError for an optimizer that puts averages of its own in place of all weights."""
    if any(one.use_ema for one in leaf_optimizers(model.optimizer)):
        raise ValueError(
            "the form 'head' needs an optimizer that leaves other weights alone; one with "
            "use_ema=True puts averages in their place: use callbacks.WeightAveraging."
        )


def as_weights(class_weight, columns):
    """The weights of the classes as an array, of a dict or a list; `columns` None if not known."""
    classes = len(class_weight) if columns is None else max(columns, 2)
    if isinstance(class_weight, dict):
        if set(class_weight) != set(range(classes)):
            raise ValueError(
                f"`class_weight` must have a weight for each of {classes} classes, 0 to "
                f"{classes - 1}; got {class_weight!r}: see imbalance.class_weights(y, "
                f"num_classes={classes})."
            )
        class_weight = [class_weight[one] for one in range(classes)]
    return np.array(check_shares("class_weight", class_weight, classes, "class"), "float32")


def outputs_of(model):
    """The number of columns of the one output of a model; None where it is not to be seen."""
    outputs = getattr(model, "outputs", None) or []
    return outputs[0].shape[-1] if len(outputs) == 1 else None


def begin_anew(model, head, seed):
    """Give the weights of a Head new first values, and the optimizer no memory of others."""
    with seeded(seed):
        for layer in head.layers:
            if layer.weights and all_layers(layer) == [layer]:
                fresh = type(layer).from_config(layer.get_config())
                fresh.build_from_config(layer.get_build_config())
                layer.set_weights(fresh.get_weights())
    for optimizer in leaf_optimizers(model.optimizer):
        reset_slots(optimizer)


class ChangedStep:
    """The training step of a `fit` with changes that are in force while it runs, and only then.

    It is traced anew, with them. After a `fit` that was interrupted the next one has the step of
    before; `history` tells one `fit` from the next.
    """

    def __init__(self, model, head=None, class_weight=None):
        self._model, self._fit = weakref.ref(model), model.history
        self._head, self._class_weight = head, class_weight
        # A function of its own: JAX gives the method the trace that it has, while one is held.
        with shadowed(model, train_step=functools.partial(model.train_step)):
            model.make_train_function(force=True)
        self._step = model.train_function
        model.train_function = self

    def __call__(self, *args):
        model = self._model()
        if model.history is not self._fit:
            model.make_train_function(force=True)
            return model.train_function(*args)
        with contextlib.ExitStack() as stack:
            self._change(model, stack)
            return self._step(*args)

    def _change(self, model, stack):
        if self._class_weight is not None:
            loss = functools.partial(_weighted_loss, model.compute_loss, self._class_weight)
            stack.enter_context(shadowed(model, compute_loss=loss))
        if self._head is not None:
            stack.enter_context(at_inference(self._head.held))
            for one in leaf_optimizers(model.optimizer):
                apply = functools.partial(_apply_to, self._head.variables, one, one.apply)
                stack.enter_context(shadowed(one, apply=apply))

    def end(self):
        """Have the next `fit` make a step without changes."""
        self._model().train_function = None


def _apply_to(trained, optimizer, apply, grads, trainable_variables=None):
    """`apply` of an optimizer to some variables: the others keep weights, momenta, constraints."""
    variables = trained_by(optimizer) if trainable_variables is None else trainable_variables
    pairs = [pair for pair in zip(grads, variables, strict=True) if id(pair[1]) in trained]
    apply([grad for grad, _ in pairs], [variable for _, variable in pairs])


def _weighted_loss(compute_loss, class_weight, x, y, y_pred, sample_weight=None, **more):
    """`compute_loss` of a model in which a sample counts as its class does."""
    ops = keras.ops
    weights = ops.convert_to_tensor(class_weight)
    if len(y.shape) == 2 and y.shape[1] > 1:
        of_samples = ops.matmul(ops.cast(y, weights.dtype), weights)
    else:
        of_samples = ops.take(weights, ops.cast(ops.reshape(y, (-1,)), "int32"))
    if sample_weight is not None:
        sample_weight = ops.cast(sample_weight, weights.dtype)
        of_samples = ops.reshape(of_samples, ops.shape(sample_weight)) * sample_weight
    return compute_loss(x, y, y_pred, of_samples, **more)
