"""PCAWhitening: the principal components of an image, each with variance 1."""

from typing import Any

import keras

from keras_dcnn.layers.preprocessing._whitening_layer import WhiteningLayer


@keras.saving.register_keras_serializable(package="keras_dcnn")
class PCAWhitening(WhiteningLayer):
    """Turns images or vectors into their principal components, uncorrelated and of variance 1.

    For networks and classifiers on vectors: the image is flattened, and with `num_components` made
    shorter. With mean m and covariance `Σ (x − m)(x − m)ᵀ / N = U diag(S) Uᵀ`, S falling,

    `y = (x − m) U / √(S + ε)`

    ε says how far directions of little variance, which hold noise, are blown up: more ε, less
    noise. It is compared with variances, so it depends on the scale of the pixels: as much as 1e-5
    is to images on [0, 1], 0.65 (1e-5 · 255²) is to images on [0, 255]. The S of `svd(cov)` are
    the eigenvalues, the variances along the components, themselves, not their roots. Convolutional
    networks are rarely fed whitened images: centring (`ZeroCenter`) and dividing by a standard
    deviation per channel (`keras.layers.Normalization`) is the practice.

    Mean and components are those of the data given to `adapt(data)`, which must be the training
    images only: computed in float64, applied in float32, the same in training and at inference.
    The D×D covariance of D = height · width · channels must fit in memory: 32×32 RGB images take
    0.4 GiB in `adapt`, 64×64 6.8 GiB.

    Args:
        num_components: How many components to keep, those of the largest variance; None for all.
        epsilon: ε ≥ 0, in squared units of the pixels. With 0 each component must vary in the
            data, which takes more images than components.
        **kwargs: Keras's own layer arguments, such as `name` and `dtype`.

    Input shape:
        Images of one size, any dtype and data format, or vectors, as in `adapt`: one, or a batch,
        or a dict that holds them under `"images"`, of which all else is passed through untouched.
        Of five axes, `(batch, frames, height, width, channels)`, they are videos, of which each
        frame is an image.

    Output shape:
        `(batch, num_components)`, `(num_components,)` for one image, or `(batch, frames,
        num_components)`, in the layer's `compute_dtype` (float32 as a rule).

    Raises:
        ValueError: for an argument outside the ranges above, more components than dimensions, a
            covariance larger than the memory, before `adapt`, in `adapt` for images that are all
            the same and, with epsilon=0, for components without variance; for inputs of another
            shape than those of `adapt` or with pixels that are not finite (inside XLA, which knows
            no errors, these count as 0).

    Example:

    ```python
    import numpy as np
    import keras_dcnn

    images = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 3), dtype="uint8")
    layer = keras_dcnn.layers.PCAWhitening(num_components=20)
    layer.adapt(images)
    print(layer(images).shape)
    ```

    Reference:
        LeCun, Bottou, Orr, Müller: Efficient BackProp (1998), section 4.3.
        http://yann.lecun.com/exdb/publis/pdf/lecun-98b.pdf
        CS231n, Neural Networks Part 2. https://cs231n.github.io/neural-networks-2/
    """

    def _weight_shapes(self, shape):
        dimension, count = self._sizes(shape)
        return {"mean": (dimension,), "projection": (dimension, count)}

    def _projection(self, vectors, deviations):
        return vectors / deviations

    def transform_images(self, images: Any, statistics: Any) -> Any:
        return self._flat(images, statistics)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        lead = self._num_lead(input_shape)
        return (*input_shape[:lead], self._sizes(self._shape or input_shape[lead:])[1])
