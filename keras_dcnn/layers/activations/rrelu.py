"""RReLU: a leaky rectifier whose negative slope is random in training and fixed in test."""

import keras

from keras_dcnn._validation import check_choice, check_keywords, check_range


def leaky_relu(x, slope, ops=keras.ops):
    """x where x ≥ 0, slope · x below; `slope` a number or one per element."""
    return ops.where(x >= 0, x, slope * x)


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

    Args:
        lower: Smallest slope; above 0 for "reciprocal".
        upper: Largest slope, at least `lower`. With `lower == upper` this is LeakyReLU.
        sampling: `"reciprocal"` or `"uniform"`.
        seed: Integer for a reproducible stream of draws, or None.
        **kwargs: Keras's own layer arguments, such as `name` and `dtype`.

    Input shape:
        Any.

    Output shape:
        That of the input.

    Raises:
        ValueError: for `lower` above `upper`, and for a `lower` that "reciprocal" can't invert.
        TypeError: for an unknown keyword.

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

    def __init__(self, lower=1 / 8, upper=1 / 3, sampling="reciprocal", seed=None, **kwargs):
        check_keywords(self, kwargs)
        check_choice("sampling", sampling, ("reciprocal", "uniform"))
        try:
            check_range("(lower, upper)", (lower, upper))
        except ValueError as error:
            raise ValueError(
                "`lower` and `upper` must be finite numbers with lower ≤ upper; "
                f"got lower={lower!r}, upper={upper!r}."
            ) from error
        if sampling == "reciprocal" and lower <= 0:
            raise ValueError(
                f"`lower` must be above 0 to draw 1/α; got lower={lower!r}: raise it, or use "
                "sampling='uniform'."
            )
        super().__init__(**kwargs)
        self.lower = lower
        self.upper = upper
        self.sampling = sampling
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    @property
    def inference_slope(self):
        """The fixed slope α used at inference."""
        if self.sampling == "reciprocal":
            return 2 / (1 / self.lower + 1 / self.upper)
        return (self.lower + self.upper) / 2

    def sample_slopes(self, shape):
        """Draw one training slope per element, float32."""
        reciprocal = self.sampling == "reciprocal"
        low, high = (1 / self.upper, 1 / self.lower) if reciprocal else (self.lower, self.upper)
        draws = keras.random.uniform(shape, low, high, "float32", self.seed_generator)
        return 1 / draws if reciprocal else draws

    def call(self, inputs, training=False):
        inputs = keras.ops.cast(inputs, self.compute_dtype)
        if not training:
            return leaky_relu(inputs, self.inference_slope)
        slopes = self.sample_slopes(keras.ops.shape(inputs))
        return leaky_relu(inputs, keras.ops.cast(slopes, self.compute_dtype))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "lower": self.lower,
            "upper": self.upper,
            "sampling": self.sampling,
            "seed": self.seed,
        }
