"""How far a step of the training moves the weights, by one that is undone."""

import contextlib

import keras
import numpy as np

from keras_dcnn._keras.fitting import compile_arguments, is_distributed
from keras_dcnn._keras.graph import walk_layers
from keras_dcnn._keras.optimizers import build_optimizer, leaf_optimizers, training_optimizers
from keras_dcnn._state.snapshot import snapshot
from keras_dcnn._structure.kernels import all_kernels
from keras_dcnn.diagnosis._learning_rate.state import left_as_it_was
from keras_dcnn.diagnosis.finding import Finding

_HIGH, _LOW, _USUAL = 1e-1, 1e-6, 1e-3


def find_odd_updates(model, samples):
    """A step that moves most kernels by more than a tenth of their norm, or none by a millionth."""
    ratios = update_ratios(model, samples.batch) if _can_step(model, samples) else {}
    if not ratios:
        return []
    middle, most = float(np.median([*ratios.values()])), max(ratios.values())
    if most >= _LOW and middle <= _HIGH:
        return []
    high = middle > _HIGH
    shown = middle if high else most
    advice = "lower the learning rate" if high else "raise the learning rate, if not on purpose"
    return [
        Finding(
            "update_ratio",
            f"a step moves {'half of the' if high else 'the'} kernels by {shown:.2g} of their norm "
            f"or {'more' if high else 'less'}, where {_USUAL:g} is usual",
            advice,
            severity="warning" if high else "info",
            evidence={"ratios": ratios},
            confidence="likely" if high else "possible",
        )
    ]


def update_ratios(model, batch):
    """By kernel ‖Δw‖/‖w‖ of one step, after which all is as before; {} where it made no update."""
    with _may_step(model), left_as_it_was(model):
        kernels = _kernels(model)
        begun, before = _updates(model), snapshot(kernels.values())
        model.train_on_batch(*batch)
        if _updates(model) == begun:  # as where loss scaling leaves it out
            return {}
        after = snapshot(kernels.values())
    pairs = zip(kernels, before, after, strict=True)
    norms = {path: (_norm(then), _norm(now - then)) for path, then, now in pairs}
    return {path: step / size for path, (size, step) in norms.items() if size and np.isfinite(step)}


def _can_step(model, samples):
    """Whether one call of `train_on_batch` is one update by the optimizer of `compile` alone."""
    optimizer = getattr(model, "optimizer", None)
    if samples.batch is None or optimizer is None or not model.compiled:
        return False
    holders = [one.optimizer for one in training_optimizers(model)]
    leaves = leaf_optimizers(optimizer)
    return (
        holders == [optimizer]
        and compile_arguments(model)["loss"] is not None
        and all(isinstance(one, keras.optimizers.Optimizer) for one in leaves)
        and all(not one.gradient_accumulation_steps for one in leaves)
        and model.steps_per_execution == 1
        and bool(model.trainable_variables)
        and not is_distributed(model)
    )


@contextlib.contextmanager
def _may_step(model):
    """Lend a model whose optimizer has no variables yet one like it, since they can't be taken."""
    given, optimizer = compile_arguments(model), model.optimizer
    if optimizer.built:
        yield
        return
    lent = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    try:
        keras.Model.compile(model, **{**given, "optimizer": lent})
        build_optimizer(model)
        yield
    finally:
        keras.Model.compile(model, **given)


def _updates(model):
    leaves = leaf_optimizers(model.optimizer)
    return max(int(keras.ops.convert_to_numpy(one.iterations)) for one in leaves)


def _kernels(model):
    """The trainable kernels by path, numbered where a layer has several."""
    found = {}
    for path, layer in walk_layers(model):
        for kernel in all_kernels(layer):
            if kernel.variable.trainable:
                more = f" ({kernel.noun})" if path in found else ""
                found[path + more] = kernel.variable
    return found


def _norm(value):
    return float(np.linalg.norm(value.astype("float64").ravel()))
