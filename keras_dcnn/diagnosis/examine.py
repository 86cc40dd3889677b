"""examine: the mistakes that a model's layers, weights and optimizer show."""

import keras

from keras_dcnn._checks import check_built_model
from keras_dcnn.diagnosis._model.constraint_mistakes import (
    find_mismatched_max_norm,
    find_wrong_constraint_axes,
)
from keras_dcnn.diagnosis._model.decay_mistakes import find_decayed_slopes, find_double_decay
from keras_dcnn.diagnosis._model.initializer_mistakes import find_wrong_fans
from keras_dcnn.diagnosis._model.symmetry import find_symmetric_kernels
from keras_dcnn.diagnosis.finding import Finding

_RULES = (
    find_symmetric_kernels,
    find_wrong_constraint_axes,
    find_mismatched_max_norm,
    find_wrong_fans,
    find_decayed_slopes,
    find_double_decay,
)


def examine(model: keras.Model) -> list[Finding]:
    """The mistakes that a model's weights, constraints, penalties and optimizer show.

    For before the training, which none of them stops: it only learns less. Nothing is changed.

    By the `rule` of what it finds:

    - `symmetric_kernel`: a hidden layer whose units all start with the same weights, such as zeros;
    - `wrong_constraint_axes`: a constraint on other axes than those of a unit's inputs, as Keras's
      default of axis 0 on a convolution;
    - `mismatched_max_norm`: a `MaxNorm` for another kind of kernel than the layer's, or on a bias
      or slopes;
    - `wrong_fan`: a kernel that is as `HeNormal` or `CalibratedNormal` drew it, taking it for
      another kind, so that its standard deviation is that of another fan;
    - `decayed_slopes`: weight decay on the slopes of PReLU, which pulls them towards ReLU;
    - `double_decay`: L2 as a penalty, and again as the optimizer's weight decay.

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

    Returns:
        A list of `Finding`, empty for a model without these mistakes.

    Raises:
        TypeError: for what is not a Keras model.
        ValueError: for a model that is not built.

    Example:

    ```python
    import keras
    import keras_dcnn

    model = keras.Sequential([keras.Input((8, 8, 3))])
    model.add(keras.layers.Conv2D(4, 3, kernel_constraint="max_norm"))
    for finding in keras_dcnn.diagnosis.examine(model):
        print(finding)
    ```

    Reference:
        Goodfellow, Bengio, Courville: Deep Learning (2016), sections 7.2 and 8.4.
        https://www.deeplearningbook.org
    """
    check_built_model(model)
    return [finding for find in _RULES for finding in find(model)]
