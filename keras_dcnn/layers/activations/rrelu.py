"""RReLU: a leaky rectifier whose negative slope is random in training and fixed in test."""

import math
from collections.abc import Sequence
from typing import Any

import keras

from keras_dcnn._checks import (
    arguments_of,
    as_axes,
    check_choice,
    check_keywords,
    check_number,
    check_real,
)
from keras_dcnn._keras.compiling import fused
from keras_dcnn._keras.layers import draw_salt
from keras_dcnn._random.draws import DrawStream, as_seed
from keras_dcnn._random.noise import uniform

ops = keras.ops


def leaky_relu(x, slope):
    """x where x ≥ 0, slope · x below; `slope` a number or one per element."""
    return ops.where(x >= 0, x, slope * x)


@fused
def scale_negatives(x, positive, *key, lower, upper, sampling, shared_axes):
    """x where positive; elsewhere α · x of uniform α, or x / a of uniform a, drawn by the key.

    Linear in x, and so its own derivative too.
    """
    shape = [1 if axis in shared_axes else size for axis, size in enumerate(ops.shape(x))]
    if sampling == "uniform":
        return ops.where(positive, x, x * _draw(key, shape, lower, upper, x.dtype))
    # Not x · (1 / a): where the forward and the backward pass are compiled together, XLA keeps the
    # quotients from one to the other. What is cheaper than a division it computes twice.
    return ops.where(positive, x, x / _draw(key, shape, 1 / upper, 1 / lower, x.dtype))


def _draw(key, shape, low, high, dtype):
    return ops.cast(uniform(key, shape, low=low, high=high), dtype)


def random_leaky_relu(x, key, **arguments):
    """`leaky_relu` with the random slopes of a key, which gives them in the backward pass again.

    So nothing is kept for that pass but the key and the sign of `x`.
    """
    positive = x >= 0

    @ops.custom_gradient
    def scale(x):
        def gradient(*args, upstream=None):  # PyTorch hands it over by name, after x
            return scale(args[0] if upstream is None else upstream)

        return scale_negatives(x, positive, *key, **arguments), gradient

    return scale(x)


@keras.saving.register_keras_serializable(package="keras_dcnn")
class RReLU(keras.layers.Layer):
    """Leaky rectifier with a random negative slope per element in training.

    The randomness regularises: on small data sets RReLU overfitted less than PReLU and LeakyReLU
    (NDSB competition).

    `f(x) = x` for x ≥ 0 and `α·x` below. In training α is drawn anew for every element; at
    inference it is fixed:

    | `sampling` | training | inference |
    |---|---|---|
    | `"reciprocal"` | α = 1/a, a ~ U(1/upper, 1/lower) | 2 / (1/lower + 1/upper), by default 2/11 |
    | `"uniform"` | α ~ U(lower, upper) | (lower + upper) / 2, by default 11/48 |

    "reciprocal" is the paper, which writes `x/a` with a ~ U(3, 8) and divides by the mean of a in
    test. "uniform" is what PyTorch and TensorFlow Addons do: take it to load weights trained there.

    Under XLA it costs what LeakyReLU costs, in time and memory: a slope is a hash of the step and
    of the element's place, which XLA computes where it is used, and which is drawn again in the
    backward pass. On TensorFlow without XLA (and without a GPU) the layer compiles itself. A seed
    gives the same slopes on every backend, however the batch is shared out among devices. Under
    `jax.vmap` the mapped examples share their slopes; forward-mode derivatives of JAX and
    `torch.func` are refused.

    Args:
        lower: Smallest slope; above 0 for "reciprocal".
        upper: Largest slope, at least `lower`. With `lower == upper` this is LeakyReLU.
        sampling: `"reciprocal"` or `"uniform"`.
        shared_axes: Axes whose elements share a slope, the batch being axis 0; None for none. With
            channels last `[1, 2]` draws one per image and channel, `[1, 2, 3]` one per image,
            `[0, 1, 2]` one per channel.
        seed: Whole number in [0, 2³¹) for a reproducible stream of draws, a
            `keras.random.SeedGenerator` that draws one, or None. Layers of one seed in one model
            draw apart.
        **kwargs: Keras's own layer arguments, such as `name` and `dtype`.

    Input shape:
        `(batch, …)`, of any rank; all sizes may be unknown and may change.

    Output shape:
        That of the input.

    Raises:
        ValueError: for `lower` above `upper`, for a `lower` that "reciprocal" can't invert, and for
            `shared_axes` that the input does not have.

    Example:

    ```python
    import keras
    import keras_dcnn

    model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(16, 3)])
    model.add(keras_dcnn.layers.RReLU())
    ```

    Reference:
        Xu, Wang, Chen, Li: Empirical Evaluation of Rectified Activations in Convolutional Network
        (2015). https://arxiv.org/abs/1505.00853
    """

    def __init__(
        self,
        lower: float = 1 / 8,
        upper: float = 1 / 3,
        sampling: str = "reciprocal",
        shared_axes: int | Sequence[int] | None = None,
        seed: int | keras.random.SeedGenerator | None = None,
        **kwargs: Any,
    ) -> None:
        check_keywords(self, kwargs)
        check_choice("sampling", sampling, ("reciprocal", "uniform"))
        check_number("lower", lower)
        check_number("upper", upper, minimum=lower)
        if sampling == "reciprocal" and lower <= 0:
            raise ValueError(
                f"`lower` must be above 0 to draw 1/α; got lower={lower!r}: raise it, or use "
                "sampling='uniform'."
            )
        as_axes("shared_axes", shared_axes)
        seed = as_seed(seed)
        super().__init__(**kwargs)
        self.lower = lower
        self.upper = upper
        self.sampling = sampling
        self.shared_axes = shared_axes
        self.seed = seed
        self.generator = DrawStream(seed)
        self.supports_masking = True

    @property
    def inference_slope(self) -> float:
        """The fixed slope α used at inference."""
        if self.sampling == "reciprocal":
            return 2 / (1 / self.lower + 1 / self.upper)
        return (self.lower + self.upper) / 2

    @property
    def rms_slope(self) -> float:
        """√E[α²] in training: the `negative_slope` that `HeNormal` needs before this layer."""
        if self.sampling == "reciprocal":  # the integral of 1/a², over its width
            return math.sqrt(self.lower * self.upper)
        return math.sqrt((self.lower**2 + self.lower * self.upper + self.upper**2) / 3)

    def build(self, input_shape: Any) -> None:
        self._axes_within(len(input_shape))  # refuses what it can't place before the first batch

    def _axes_within(self, rank):
        """The shared axes as numbers from 0 on."""
        axes = as_axes("shared_axes", self.shared_axes)
        for axis in axes:
            if not -rank <= axis < rank:
                raise ValueError(
                    f"`shared_axes` of RReLU `{self.name}` must lie between {-rank} and {rank - 1} "
                    f"for inputs of rank {rank}; got {self.shared_axes!r}."
                )
        return tuple(sorted({axis % rank for axis in axes}))

    def call(self, inputs: Any, training: bool = False) -> Any:
        check_real(f"RReLU `{self.name}`: inputs", inputs)
        inputs = ops.cast(inputs, self.compute_dtype)
        if not training:
            return leaky_relu(inputs, self.inference_slope)
        if self.lower == self.upper:
            return leaky_relu(inputs, self.lower)
        return random_leaky_relu(
            inputs,
            key=self.generator.next_key(draw_salt(self, self.seed)),
            lower=self.lower,
            upper=self.upper,
            sampling=self.sampling,
            shared_axes=self._axes_within(len(inputs.shape)),
        )

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **arguments_of(self)}
