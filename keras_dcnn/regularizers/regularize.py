"""regularize: weight penalties, constraints and dropout for a model that exists already."""

from typing import Any

import keras

from keras_dcnn._checks import check_built_model, check_number
from keras_dcnn._keras.graph import walk_layers, walk_paths
from keras_dcnn._structure.copies import copy_model
from keras_dcnn._structure.where import check_where, is_chosen, is_named
from keras_dcnn.regularizers._dropout import insert_dropout
from keras_dcnn.regularizers._penalties import check_adapted, put_on, warn_if_lost, weights_of

_FOR_DROPOUT = "Dense layer of a sequential or functional model, with weights before it"
_LISTED = 20  # layers in an error


def regularize(
    model: keras.Model,
    kernel_regularizer: Any = None,
    kernel_constraint: Any = None,
    dropout: float | None = None,
    where: Any = None,
) -> keras.Model:
    """A copy of a model, its weights kept, with penalties, constraints and dropout put on.

    For pretrained models: setting `layer.kernel_regularizer` on a layer that is built changes
    nothing. The copy's outputs at inference are exactly the model's, which stays as it was.

    Training adds the penalty of each kernel, once for a layer that is shared, and no penalty for
    layers with `trainable=False`; the constraint acts after each update of the weights, not before
    the first. Depthwise and pointwise kernels of separable convolutions are kernels too; biases and
    recurrent kernels are left alone, and what a layer has already is replaced.

    Args:
        model: A built Keras model that can be saved to a `.keras` file, as the copy can.
        kernel_regularizer: A regularizer or Keras's name for one, or None to leave them as they
            are.
        kernel_constraint: A constraint or Keras's name for one, or None to leave them as they are.
            A `MaxNorm` without an `axis` gets the kind of each layer's kernel, or the axes that the
            equation of an EinsumDense, as those in attention, sums over.
        dropout: Share of the inputs of Dense layers that training drops, above 0 and below 1 (½ in
            VGG); None for no more dropout. It comes in front of each of the Dense layers in
            sequential and functional models, nested ones too, but not where all before it has no
            weights, as for the inputs of the model. A `Dropout` that is there already gets the
            rate.
        where: The layers: a layer class; a pattern for the name, or for the path within nested
            models, such as `"block5_*"` or `"backbone/*"`; a function that takes a layer and
            returns a bool; or a list of these. None for all that have kernels. Slopes of PReLU,
            scales of normalizations and embeddings get the regularizer where the class or the name
            in full says so, as in `where=keras.layers.PReLU`; embeddings the constraint too, for
            each row.

    Returns:
        The copy, not compiled, with the same names of layers, but for those inside a layer, which
        Keras may number anew. What is put on is saved with it.

    Raises:
        ValueError: for a model that is not built or can't be copied, if nothing is to be put on, if
            `where` matches no layer that takes it, for a constraint on a layer adapted by LoRA, and
            for a `dropout` that is not between 0 and 1.
        TypeError: for what is not a Keras model, and an unknown kind of `where`.

    Example:

    ```python
    import keras
    import keras_dcnn

    model = keras.applications.MobileNetV2((32, 32, 3), alpha=0.35, classes=10, weights=None)
    model = keras_dcnn.regularizers.regularize(
        model, keras_dcnn.regularizers.WeightDecay(1e-4), keras_dcnn.constraints.MaxNorm(4.0)
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    ```

    Reference:
        Srivastava et al.: Dropout (2014). https://jmlr.org/papers/v15/srivastava14a.html
    """
    _check(model, kernel_regularizer, kernel_constraint, dropout)
    check_where(where)
    penalties = {
        "regularizer": keras.regularizers.get(kernel_regularizer),
        "constraint": keras.constraints.get(kernel_constraint),
    }
    layers = list(walk_layers(model))
    chosen = _which(model, is_chosen, where)
    named = _which(model, is_named, where)
    takers = [
        take and bool(weights_of(layer, name, **penalties))
        for take, name, (_, layer) in zip(chosen, named, layers, strict=True)
    ]
    if any(penalties.values()) and not any(takers):
        raise ValueError(_nothing_matched(model, where, "layer with a kernel"))
    check_adapted(
        [one for one, take in zip(layers, takers, strict=True) if take], kernel_constraint
    )
    copy = copy_model(model, "regularize()")
    for take, name, (_, layer) in zip(takers, named, walk_layers(copy), strict=True):
        if take:
            put_on(layer, name, **penalties)
    warn_if_lost(copy, takers)
    return copy if dropout is None else _with_dropout(copy, dropout, chosen, where)


def _which(model, is_meant, where):
    """For each layer whether `where` means it, by one of its paths."""
    meant = {id(layer) for path, layer in walk_paths(model) if is_meant(where, path, layer)}
    return [id(layer) in meant for _, layer in walk_layers(model)]


def _with_dropout(copy, rate, chosen, where):
    dense = {
        id(layer)
        for (_, layer), take in zip(walk_layers(copy), chosen, strict=True)
        if take and isinstance(layer, keras.layers.Dense)
    }
    copy, count = insert_dropout(copy, rate, dense)
    if not count:
        raise ValueError(_nothing_matched(copy, where, _FOR_DROPOUT))
    return copy


def _check(model, kernel_regularizer, kernel_constraint, dropout):
    check_built_model(model)
    if kernel_regularizer is None and kernel_constraint is None and dropout is None:
        raise ValueError(
            "regularize() needs something to put on; got None for all: give "
            "`kernel_regularizer`, `kernel_constraint` or `dropout`."
        )
    if dropout is not None:
        check_number("dropout", dropout, above=0, below=1)


def _nothing_matched(model, where, what):
    there = [
        f"{path} ({type(layer).__name__})" for path, layer in walk_layers(model) if layer.weights
    ]
    more = f", and {len(there) - _LISTED} more" if len(there) > _LISTED else ""
    rule = f"`where` must match a {what}; got where={where!r}."
    if where is None:
        rule = f"the model must have a {what}."
    return f"{rule} `{model.name}` has, with weights: {', '.join(there[:_LISTED]) or 'none'}{more}."
