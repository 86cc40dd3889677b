"""adjust_logits: a trained model, corrected for how often its classes came in training."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_dcnn._checks import check_built_model, check_flag
from keras_dcnn._keras.fitting import compile_arguments
from keras_dcnn._keras.graph import nodes_of, output_layer
from keras_dcnn.imbalance._held_out_tau import choose_tau, held_out_logits
from keras_dcnn.imbalance._logit_adjustment import LogitAdjustment
from keras_dcnn.losses import LogitAdjustedCrossentropy
from keras_dcnn.losses._priors import log_priors


def adjust_logits(
    model: keras.Model,
    priors: Sequence[float] | np.ndarray,
    tau: float | str = 1.0,
    validation_data: Any = None,
    *,
    from_logits: bool | None = None,
) -> keras.Model:
    """Correct a trained classifier for how often its classes came in training, without training.

    A model that saw 1,000 images of cats and 10 of lynxes says "cat" where it can't tell. This
    takes τ times the log share of each class off its logits, so that rare classes get their due:
    it raises the balanced accuracy, and lowers the accuracy where the classes come as in training.
    With classes 1 : 100 the paper reports 77.3 % for 71.4 % (CIFAR-10). For a model that was
    trained by plain cross-entropy; class weights, balanced sampling and
    `losses.LogitAdjustedCrossentropy` have done that already.

    `f_c − τ·log π_c`, of logits f and class shares π. For probabilities that is `p_c / π_c^τ`,
    divided by its sum: τ = 1 is the "thresholding by the class priors" of Buda et al. Of one
    sigmoid the threshold moves by τ·log(π₁/π₀) in the logit.

    τ = 1 is right for probabilities that can be believed. Networks are often too sure, and need
    more: `tau="auto"` takes b / a, from 0 to 4, of the least balanced cross-entropy of
    a·f − b·log π, the mean over the classes of each class's, on held-out data. Not the τ with the
    highest balanced accuracy, which leaps when one of a few images of a class is right: the
    cross-entropy is convex. In a simulation of ten classes, 1 : 100, with 5 held-out images of the
    rarest class, that came within 0.3 points of the best τ, for logits twice and four times too
    large as well, where τ = 1 lost 4.9 and 9.

    Args:
        model: A trained classifier with one output, built of connected layers, whose last layer
            has a softmax, a sigmoid of one unit, or no activation (logits).
        priors: How many training images each class has, or its share, above 0, such as
            `np.bincount(y)`; for one unit those of the classes 0 and 1.
        tau: τ, ≥ 0, 0 for no change; or "auto".
        validation_data: For tau="auto": `(x, y)` or `(x, y, sample_weight)` of arrays, or a tf.data
            set, PyDataset or torch DataLoader of such batches, that nobody trained on, with images
            of every class. Labels are classes from 0 or one-hot rows.
        from_logits: Whether the model's outputs are logits; None to go by its last layer.

    Returns:
        A Keras model with the layers of the given one, which stays as it is, and one more, whose
        `tau` is the one that was taken: `adjusted.layers[-1].tau`. It gives probabilities where the
        given model does, else logits; is compiled as that is; and is saved and loaded as any. It is
        for predicting: training it would have it learn the correction away.

    Raises:
        TypeError, ValueError: for a model that is not built, has several outputs, or does not show
            what they are; one unit a label (multi-label); a class without training or held-out
            images; and a model that is adjusted already.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_dcnn

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 4)), np.repeat([0, 1, 2], [45, 12, 3])
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
    adjusted = keras_dcnn.imbalance.adjust_logits(model, np.bincount(y), "auto", (x, y))
    print(adjusted.layers[-1].tau, adjusted.predict(x[:1], verbose=0))
    ```

    Reference:
        Menon et al.: Long-tail learning via logit adjustment (2021).
        https://arxiv.org/abs/2007.07314
        Buda, Maki, Mazurowski: A systematic study of the class imbalance problem in convolutional
        neural networks (2018). https://arxiv.org/abs/1710.05381
    """
    check_built_model(model)
    _check_graph(model)
    _check_outputs(model, np.size(priors))
    logs = log_priors(priors)
    _check_not_adjusted(model)
    from_logits = _gives_logits(model) if from_logits is None else from_logits
    check_flag("from_logits", from_logits)
    if isinstance(tau, str) and tau == "auto":
        if validation_data is None:
            raise ValueError('tau="auto" needs `validation_data` to choose by, (x, y); got None.')
        held_out = held_out_logits(model, validation_data, from_logits, len(logs))
        tau = choose_tau(*held_out[:2], logs, held_out[2])
    elif validation_data is not None:
        raise ValueError(f'`validation_data` is for tau="auto"; got tau={tau!r}: leave one out.')
    layer = LogitAdjustment(
        priors, tau, from_logits, dtype=model.outputs[0].dtype, name="logit_adjustment"
    )
    inputs = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    adjusted = keras.Model(inputs, layer(model.outputs[0]), name=f"{model.name}_adjusted")
    if model.compiled:
        adjusted.compile(**_of_one_output(compile_arguments(model)))
    return adjusted


def _check_graph(model):
    if not nodes_of(model):
        raise ValueError(
            f"`model` must be built of connected layers; `{model.name}`, of class "
            f"{type(model).__name__}, has a `call` of its own, so that its last layer is not to be "
            "seen: give keras.Model(inputs, model(inputs)) for inputs = keras.Input(…), and "
            "`from_logits`."
        )


def _check_outputs(model, num_classes):
    shapes = [output.shape for output in model.outputs]
    if len(shapes) != 1:
        raise ValueError(f"`model` must have one output; `{model.name}` has {len(shapes)}.")
    units = shapes[0][-1]
    if max(2, units or 0) != num_classes:
        raise ValueError(
            f"`priors` must be one for each class of `{model.name}`, which has {units} output"
            f"{'' if units == 1 else 's'}; got {num_classes}: give "
            f"{'those of the classes 0 and 1' if units == 1 else f'{units}'}."
        )


def _check_not_adjusted(model):
    loss = compile_arguments(model)["loss"] if model.compiled else None
    for one in (output_layer(model), *keras.tree.flatten(loss)):
        if isinstance(one, (LogitAdjustment, LogitAdjustedCrossentropy)):
            by = "adjust_logits" if isinstance(one, LogitAdjustment) else "its loss"
            raise ValueError(
                f"`{model.name}` is adjusted already, by {by} with tau={one.tau}: give a model "
                "that was trained by plain cross-entropy."
            )


def _gives_logits(model):
    """By the last layer: False for a softmax or one sigmoid, True for a kernel alone."""
    layer, units = output_layer(model), model.outputs[0].shape[-1]
    activation = getattr(layer, "activation", None)
    if isinstance(layer, keras.layers.Softmax) or activation is keras.activations.softmax:
        return False
    if activation is keras.activations.sigmoid:
        if units == 1:
            return False
        raise ValueError(
            f"`model` must give each image one class; `{model.name}` ends in {units} sigmoids, one "
            "for each of several labels: adjust each label by itself, with a model of one unit."
        )
    # Not Activation("linear"), by which one casts the outputs of a softmax to float32.
    if activation is keras.activations.linear and hasattr(layer, "kernel"):
        return True
    last = "no layer" if layer is None else type(layer).__name__
    last = getattr(activation, "__name__", last) if activation else last
    raise ValueError(
        f"`model` must end in a softmax, one sigmoid or a layer without activation; `{model.name}` "
        f"ends in {last}, which does not show what its outputs are: say `from_logits`."
    )


def _of_one_output(arguments):
    """Arguments of `compile` without the name of the output, of which the adjusted has another."""
    return {
        name: next(iter(value.values())) if isinstance(value, dict) and value else value
        for name, value in arguments.items()
    }
