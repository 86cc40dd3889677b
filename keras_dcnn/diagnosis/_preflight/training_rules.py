"""Whether, and of what, a training would be: compiled, something to train, batches, validation."""

import keras
import numpy as np

from keras_dcnn._keras.fitting import compile_arguments
from keras_dcnn._keras.graph import walk_layers
from keras_dcnn._keras.optimizers import trains_by_itself
from keras_dcnn._structure.kernels import layer_kernels
from keras_dcnn.diagnosis._preflight.network import listed
from keras_dcnn.diagnosis.finding import Finding

_FEW_SAMPLES = 8  # of a batch whose mean and variance BatchNorm can trust
_FEW_UPDATES = 5  # of an epoch


def find_what_is_not_compiled(subject):
    """A model without `compile`, or without a loss."""
    model = subject.model
    if not model.compiled:
        message = f"`{model.name}` is not compiled, so nothing is said of its loss and optimizer"
        return [Finding("not_compiled", message, "compile it first")]
    own = type(model).compute_loss is not keras.Model.compute_loss or trains_by_itself(model)
    given = keras.tree.flatten(compile_arguments(model)["loss"])
    if own or any(one is not None for one in given) or model.losses:
        return []
    message = f"`{model.name}` is compiled without a loss, so that there is nothing to train for"
    return [Finding("no_loss", message, "give `compile` a loss")]


def find_what_is_not_trained(subject):
    """Models all of whose weights are frozen, and frozen kernels between trained ones."""
    model = subject.model
    if not model.built or not model.weights:
        return []
    if not model.trainable_weights:
        message = f"no weight of `{model.name}` is trainable, so that a training changes nothing"
        advice = "set `trainable = True` on what is to be trained, and compile again"
        return [Finding("nothing_to_train", message, advice, severity="error")]
    return [*_frozen_head(subject)]


def _frozen_head(subject):
    """The last kernel frozen alone; with the model that it is in, it is the judge of a GAN."""
    for head in subject.heads:
        last = head.last
        if last is None or last.operation.trainable_weights or not last.operation.weights:
            continue
        if _trained_beside(subject.model, last.operation):
            message = "the last layer is frozen, and the layers before it are trained for it"
            advice = "set `trainable = True` on it, and compile again"
            yield Finding("frozen_head", message, advice, head.where)


def _trained_beside(model, layer):
    """Whether some kernels are trained in the same model as a layer."""
    inside = [one for _, one in walk_layers(model) if isinstance(one, keras.Model)]
    holders = [one for one in inside if any(layer is held for _, held in walk_layers(one))]
    return bool((holders or [model])[-1].trainable_weights)


def find_frozen_between(subject):
    """Frozen kernels that are fed by trained ones, and feed others."""
    network = subject.network
    if network is None or not subject.model.built:
        return []
    fed, frozen, trained_after = set(), [], False
    for step in network.steps:
        kernels = layer_kernels(step.operation) if isinstance(step.operation, keras.Layer) else []
        own = getattr(step.operation, "trainable_weights", ())
        is_fed = any(number in fed for number in step.inputs)
        if kernels and not own and is_fed:
            frozen.append(step.path)
        if frozen and own and is_fed:
            trained_after = True
        if is_fed or (kernels and own):
            fed.update(step.outputs)
    if not frozen or not trained_after:
        return []
    message = f"{listed(frozen)} are frozen between layers that are trained"
    advice = "freeze from the input on, or not at all"
    evidence = {"layers": frozen}
    return [Finding("frozen_between", message, advice, severity="info", evidence=evidence)]


def find_unfit_batches(subject):
    """Batches of one or few samples, and of nearly all."""
    size, samples = subject.batch_size, _num_samples(subject.x)
    if size is None:
        return []
    evidence = {"batch_size": size, "samples": samples}
    if samples and size * _FEW_UPDATES > samples and size > 32:
        updates = -(-samples // size)
        message = f"a batch size of {size} makes {updates} update{'s' * (updates > 1)} an epoch"
        advice = "take 32, or train for that many more epochs"
        severity = "warning" if size >= samples else "info"
        return [Finding("large_batches", message, advice, None, severity, evidence)]
    if size >= _FEW_SAMPLES:
        return []
    norms = [p for p, one in walk_layers(subject.model) if _is_batch_norm(one)]
    message, severity = f"a batch size of {size} makes noisy steps, and slow epochs", "info"
    if norms:
        message = (
            f"{len(norms)} BatchNormalization layers see batches of {size}, too few to measure"
        )
        severity = "warning"
    elif size == 1:
        severity = "warning"
    return [Finding("small_batches", message, "take 16 to 64", None, severity, evidence)]


def _is_batch_norm(layer):
    return isinstance(layer, keras.layers.BatchNormalization) and layer.trainable


def _num_samples(x):
    leaves = [leaf for leaf in keras.tree.flatten(x) if isinstance(leaf, np.ndarray)]
    return len(leaves[0]) if leaves else None


def find_no_validation(subject):
    """A training of which it was said that it has no validation data."""
    if subject.validation_data is not False:
        return []
    message = "without validation data nobody sees when the model begins to learn by heart"
    advice = "keep a part of the samples for `validation_data`, or give `validation_split=0.2`"
    return [Finding("no_validation", message, advice)]
