"""examine: the mistakes that a model's layers, weights and optimizer show."""

from typing import Any

import keras

from keras_dcnn._checks import check_built_model, check_count
from keras_dcnn._keras.compiling import without_gradients
from keras_dcnn._keras.variables import state_variables
from keras_dcnn._state.random_state import random_state_kept
from keras_dcnn._state.snapshot import variables_kept
from keras_dcnn.diagnosis._model.activity import read_activity
from keras_dcnn.diagnosis._model.activity_mistakes import (
    find_dead_units,
    find_saturated_units,
    find_variance_by_depth,
)
from keras_dcnn.diagnosis._model.attachment_mistakes import find_what_is_set_after_building
from keras_dcnn.diagnosis._model.constraint_mistakes import (
    find_mismatched_max_norm,
    find_wrong_constraint_axes,
)
from keras_dcnn.diagnosis._model.decay_mistakes import find_decayed_slopes, find_double_decay
from keras_dcnn.diagnosis._model.initializer_mistakes import find_wrong_fans
from keras_dcnn.diagnosis._model.samples import read_samples
from keras_dcnn.diagnosis._model.step_mistakes import find_odd_updates
from keras_dcnn.diagnosis._model.symmetry import find_symmetric_kernels
from keras_dcnn.diagnosis._model.weight_mistakes import (
    find_copied_filters,
    find_norms_above_max,
    find_unchanged_filters,
    find_weights_not_finite,
)
from keras_dcnn.diagnosis.finding import Finding

_RULES = (
    find_symmetric_kernels,
    find_wrong_constraint_axes,
    find_mismatched_max_norm,
    find_wrong_fans,
    find_decayed_slopes,
    find_double_decay,
    find_copied_filters,
    find_unchanged_filters,
    find_norms_above_max,
    find_what_is_set_after_building,
)
_BY_ACTIVITY = (find_dead_units, find_saturated_units, find_variance_by_depth)


def examine(model: keras.Model, data: Any = None, *, batch_size: int = 32) -> list[Finding]:
    """The mistakes that a model's weights, constraints, penalties and optimizer show.

    For before a training, which none of them stops: it only learns less; and with `data` for the
    midst of one, or its end. Nothing is changed: weights, statistics, metrics, optimizer and random
    numbers are afterwards as before.

    By the `rule` of what it finds:

    - `symmetric_kernel`: a hidden layer whose units all start with the same weights, such as zeros;
    - `wrong_constraint_axes`: a constraint on other axes than those of a unit's inputs, as Keras's
      default of axis 0 on a convolution;
    - `mismatched_max_norm`: a `MaxNorm` for another kind of kernel than the layer's, or on a bias
      or slopes;
    - `wrong_fan`: a kernel that is as `HeNormal` or `CalibratedNormal` drew it, taking it for
      another kind, so that its standard deviation is that of another fan;
    - `decayed_slopes`: weight decay on the slopes of PReLU, which pulls them towards ReLU;
    - `double_decay`: L2 as a penalty, and again as the optimizer's weight decay;
    - `weights_not_finite`: weights that are NaN or infinite, an "error"; nothing else is looked at;
    - `copied_filters`: filters of a hidden layer that are copies of others, to 1e-5 of their norm;
    - `unchanged_filters`: more than 10 % of a layer's filters got no gradient, by the averages of
      an Adam-like optimizer or RMSprop, or SGD's momentum: "info" up to 40 %;
    - `above_max_norm`: after updates, norms above the bound of a MaxNorm, Keras's or ours, as where
      the weights were set or updated past it;
    - `set_after_building`: a regularizer or constraint that was set as an attribute of a layer
      which was built already, where it does not act.

    With `data`, on up to 256 samples, as at inference:

    - `dead_units`: layers of which more than 40 % of the rectified units fire for no sample:
      "info"; a "warning" above 90 %, or with more than 40 % of all units; an "error" where a whole
      layer is dead and all samples get one answer;
    - `saturated_units`: hidden sigmoids, tanh and softsign with more than 95 % of their outputs in
      the last percent of the range. In sequential and functional models; not gates, which multiply;
    - `variance_by_depth`: all samples reach the last kernel alike, to 1e-4, an "error"; or the
      deviation between samples has, from the first kernel to there, become 1e-4 or 1,000 times as
      large, in a model without normalization;
    - `update_ratio`: where labels are given and the model is compiled, ‖Δw‖/‖w‖ of a step on the
      first batch, which is undone: above 0.1 for half of the kernels, or, an "info", below 1e-6
      for all. 1e-3 is usual. Not with several optimizers or devices, gradient accumulation,
      `steps_per_execution` above 1, or no `loss`.

    Until BatchNormalization's averages have caught up, the outputs at inference may say less than
    they seem to: with it the first three are no error.

    The first call with `data` compiles the run; another on this model, with samples of this shape,
    does not. So a second call takes about a forward pass of the samples and one step. On a model
    that no batch was trained on, the step is compiled each time.

    Kernels of zeros that end a residual branch, and of output layers, are no mistake.

    What to tell `MaxNorm`, `HeNormal` and `CalibratedNormal` for the kernels of Keras's layers,
    which are the same inside TimeDistributed, Bidirectional, RNN and SpectralNormalization:

    | layer and kernel | its axes | MaxNorm | initializers |
    |---|---|---|---|
    | Dense, Conv1D, 2D, 3D | (…, in, out) | | ¹ |
    | SeparableConv1D, 2D: pointwise | (…, in, out) | | |
    | … depthwise, and DepthwiseConv1D, 2D | (…, channels, multiplier) | ² | ² |
    | Conv1DTranspose, 2D, 3D | (…, out, in) | ³ | ³ |
    | SimpleRNN, GRU, LSTM, ConvLSTM1D, 2D, 3D, cells: both | (…, in, gates·units) | | |
    | EinsumDense | by its equation | ⁴ | ¹ |
    | attention: query, key, value, gate | (in, heads, out) | `axis=0` ⁵ | |
    | attention: output | (heads, in, out) | `axis=[0, 1]` ⁵ | |
    | Embedding, ReversibleEmbedding | (rows, numbers of a row) | `axis=-1` | ⁶ |

    ¹ With `mode="fan_out"` also `groups=`, of the convolution, or the size of the axes that all
    three terms of the equation have. ² `kernel="depthwise"`. ³ `kernel="transpose"`. ⁴ `axis=`
    those of the kernel that are summed over. ⁵ MultiHeadAttention and GroupQueryAttention have one
    constraint for all: let `regularizers.regularize` give each its own. ⁶ `SmallNormal`: a row is
    read alone, so these have no fan.

    Args:
        model: A built Keras model; the optimizer is looked at where it is compiled.
        data: Samples as `fit` takes them: x, `(x, y)` or `(x, y, sample_weight)` of arrays, of
            which 256 are taken, evenly spread; or a tf.data set, PyDataset or DataLoader, of which
            the first batches are read, so that its shuffle goes on. None looks at weights only.
        batch_size: Samples in a batch of arrays, ≥ 1; take that of the training.

    Returns:
        A list of `Finding`, empty for a model without these mistakes.

    Raises:
        TypeError: for what is not a Keras model, and data of another kind.
        ValueError: for a model that is not built, and for data that are empty, not finite, of
            different lengths, or can be read only once.

    Example:

    ```python
    import keras
    import keras_dcnn

    model = keras.Sequential([keras.Input((8, 8, 3))])
    model.add(keras.layers.Conv2D(4, 3, activation="relu", kernel_constraint="max_norm"))
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(3))
    for finding in keras_dcnn.diagnosis.examine(model, keras.random.uniform((32, 8, 8, 3))):
        print(finding)
    ```

    Reference:
        Goodfellow, Bengio, Courville: Deep Learning (2016), sections 7.2 and 8.4.
        https://www.deeplearningbook.org
        Karpathy: CS231n, Babysitting the learning process, for the ratio of updates.
        https://cs231n.github.io/neural-networks-3/#ratio
    """
    check_built_model(model)
    check_count("batch_size", batch_size)
    samples = None
    if data is not None:
        with random_state_kept():
            samples = read_samples(data, model, batch_size)
    if broken := find_weights_not_finite(model):
        return broken
    found = [finding for find in _RULES for finding in find(model)]
    return found if samples is None else found + _with(samples, model, batch_size)


def _with(samples, model, batch_size):
    """What the rules find that run the model on samples."""
    fixed = [one for one in state_variables(model) if not one.trainable]
    with random_state_kept(), variables_kept(fixed), without_gradients():
        activity = read_activity(model, samples.x, batch_size)
    found = [one for find in _BY_ACTIVITY for one in find(model, samples, activity)]
    return found + find_odd_updates(model, samples)
