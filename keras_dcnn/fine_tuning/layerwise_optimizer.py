"""layerwise_optimizer: learning rates that fall from the head of a network to its input."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_dcnn._checks import check_built_model, check_choice, is_number
from keras_dcnn._keras.graph import all_layers
from keras_dcnn._keras.layerwise import check_can_be_layerwise, make_layerwise
from keras_dcnn._structure.kernels import no_kernels
from keras_dcnn.fine_tuning._layer_groups import check_groups, group_table, layer_groups


def layerwise_optimizer(
    model: keras.Model,
    optimizer: keras.Optimizer,
    decay: float = 0.75,
    groups: str | int | Sequence[Any] = "auto",
    verbose: int = 1,
) -> keras.Optimizer:
    """Make an optimizer whose rate falls from the head of a network to its input.

    What a pretrained network learnt first, edges and colours, serves every task and should hardly
    move; what it learnt last should move more; a new head is random and needs the rate in full.
    Block i of n, the head being the nth, learns at

        lr_i = lr · decay^(n − i)

    at which the optimizer's weight decay acts too. With AdamW and `decay` of 0.65 to 0.9 this is
    how vision transformers and ConvNeXt are fine-tuned. Weights that are no kernels, the biases,
    the scales and shifts of normalization, the slopes of PReLU and all of one axis, have no weight
    decay, nor has what `exclude_from_weight_decay` was told.

    The result is one optimizer with one learning rate, that of the head, which callbacks and
    schedules set as ever; clipping by `global_clipnorm` is by the norm over all groups. It trains
    the variables that it was made for, whatever others bear the same names: set `trainable` first.
    Frozen layers are in no group, but count for the depth. A model that is saved keeps the rates,
    and to load it compiled `keras_dcnn` must be imported. `GradualUnfreeze` has an optimizer of its
    own and refuses this one.

    Args:
        model: The built Keras model, with its new head.
        optimizer: A new Keras optimizer with the learning rate of the head, a number or a schedule.
            Not Nadam.
        decay: The rate of a block divided by that of the next, above 0 and at most 1.
        groups: The blocks. "auto" takes the convolutions, branches and so on that the model is a
            chain of, joined to at most 14; a number, at most so many, ≥ 2. Or a list of which
            layers each has, from the input to the head: a layer class, a pattern for names or paths
            such as `"block5_*"`, a function that takes a layer, or a list of these; layers in none
            come after all of them. A layer that is in several is in the first.
        verbose: 1 prints the groups with their rates, 0 nothing.

    Returns:
        A Keras optimizer to compile the model with.

    Raises:
        TypeError: for groups that can't pick layers.
        ValueError: for an argument outside the ranges above, an optimizer that was used, a model
            without weights to train, or of one block, or that is no chain of layers, unless
            `groups` lists them.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_dcnn

    base = keras_dcnn.models.small_cnn((8, 8, 3), 4, width=2)
    model = keras.Sequential([base, keras.layers.Dense(2, activation="softmax")])
    optimizer = keras_dcnn.fine_tuning.layerwise_optimizer(
        model, keras.optimizers.AdamW(1e-3, weight_decay=0.05), decay=0.75
    )
    model.compile(optimizer, "sparse_categorical_crossentropy")
    model.fit(np.ones((4, 8, 8, 3)), np.zeros(4), verbose=0)
    ```

    Reference:
        Clark et al.: ELECTRA (2020), appendix B. https://arxiv.org/abs/2003.10555. Bao et al.:
        BEiT (2021), appendix. https://arxiv.org/abs/2106.08254
    """
    check_built_model(model)
    check_can_be_layerwise(optimizer)
    if not is_number(decay) or not 0 < decay <= 1:
        raise ValueError(f"`decay` must be above 0 and at most 1; got {decay!r}.")
    check_groups(groups)
    check_choice("verbose", verbose, (0, 1))
    if not model.trainable_variables:
        raise ValueError(
            f"`model` must have weights to train; `{model.name}` has none: set `trainable` of what "
            "is to learn to True first."
        )
    found = layer_groups(model, groups, float(decay))
    if verbose:
        rate = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
        print(group_table(found, rate))
    share_of = {id(one): group.share for group in found for one in group.variables}
    variables = model.trainable_variables  # in the order in which a loaded model has them
    shares = [share_of[id(one)] for one in variables]
    return make_layerwise(optimizer, variables, shares, _undecayed(model))


def _undecayed(model):
    """The ids of the weights that are no kernels."""
    named = {id(one.variable) for layer in all_layers(model) for one in no_kernels(layer)}
    return named | {id(one) for one in model.weights if len(one.shape) <= 1}
