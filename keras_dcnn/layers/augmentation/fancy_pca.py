"""FancyPCA: shifts the colour of an image along the principal components of the data's colours."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_dcnn._checks import (
    check_choice,
    check_flag,
    check_number,
    check_value_range,
    warn_no_effect,
)
from keras_dcnn.layers._image_layer import ImageLayer
from keras_dcnn.statistics._adapt import adapting, moments_for

# Colours of ImageNet on [0, 1] images, eigenvectors in columns:
# https://github.com/facebookarchive/fb.resnet.torch/blob/master/datasets/imagenet.lua
IMAGENET_EIGENVALUES = (0.2175, 0.0188, 0.0045)
IMAGENET_EIGENVECTORS = (
    (-0.5675, 0.7192, 0.4009),
    (-0.5808, -0.0045, -0.8140),
    (-0.5836, -0.6948, 0.4203),
)


def pca_colour_shift(alpha, scales, eigenvectors, ops=keras.ops):
    """Σᵢ αᵢ sᵢ pᵢ: one RGB shift per row of `alpha`, with the pᵢ in the columns."""
    # Not `matmul`, which on accelerators rounds to fewer digits.
    weights = ops.expand_dims(ops.multiply(alpha, scales), -2)
    return ops.sum(ops.multiply(weights, eigenvectors), axis=-1)


def shift_colours(images, shift, channel_axis=-1, ops=keras.ops):
    """Add one RGB shift per image, `shift` of shape (batch, 3), to a batch of images."""
    shape = (-1, 3, 1, 1) if channel_axis == -3 else (-1, 1, 1, 3)
    return images + ops.reshape(shift, shape)


@keras.saving.register_keras_serializable(package="keras_dcnn")
class FancyPCA(ImageLayer):
    """Shifts the colour of each image along the principal components of the data's RGB values.

    Makes a network indifferent to the colour and intensity of the illumination. AlexNet gained
    one point of top-1 accuracy by it.

    In training every image gets, each time it is used, its own draw αᵢ ~ N(0, std²) and becomes
    `I + Σᵢ αᵢ sᵢ pᵢ`, where λᵢ, pᵢ are eigenvalues and eigenvectors of the 3×3 covariance of all
    pixels *on [0, 1] images* (so the effect is the same for any `value_range`) and sᵢ is set by
    `scale`. At inference (`training=False`, or a model called without `training`) the images are
    returned as they are.

    The eigenpairs are ImageNet's unless given here or measured by `adapt(images)`; after `adapt`
    they are part of the configuration and are saved with the weights. A model that was compiled
    before `adapt` must be compiled again, and a `tf.data` pipeline made again.

    Args:
        std: Standard deviation of α, ≥ 0. The paper's is 0.1; on small data sets with changing
            illumination 0.5 with `scale="stddev"` did more (see the README).
        scale: `"eigenvalue"` multiplies α by λ, as printed in the paper; `"stddev"` by √λ, as in
            the authors' code (cuda-convnet2), which shifts two to eighteen times as far.
        eigenvalues: Three numbers ≥ 0 on the [0, 1] scale, or None.
        eigenvectors: 3×3, one eigenvector per column, or None. Given with `eigenvalues` or not
            at all.
        value_range: Lowest and highest value of a pixel, `(0, 255)` or `(0, 1)` as a rule. Images
            of 0 to 1 under `(0, 255)` are warned of, but not inside a compiled model.
        clip: Whether to clip the result to `value_range`.
        data_format: `"channels_last"`, `"channels_first"`, or None for Keras's setting.
        seed: Whole number for a reproducible stream of draws, a `keras.random.SeedGenerator` that
            draws one, or None.
        **kwargs: Keras's own layer arguments, such as `name` and `dtype`.

    Input shape:
        RGB images `(height, width, 3)` or `(batch, height, width, 3)` (channels_first: the
        channels before the height), any dtype; or a dict that holds them under `"images"`, of
        which all else is passed through untouched. Of five axes, `(batch, frames, height, width,
        3)`, they are videos, of which all frames get the same draw. A single video needs a batch
        axis: four axes are a batch of images.

    Output shape:
        That of the input, in the layer's `compute_dtype` (float32 as a rule), computed in
        float32.

    Raises:
        ValueError: for an argument outside the ranges above, and for images that are not RGB.

    Example:

    ```python
    import numpy as np
    import keras_dcnn

    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype="uint8")
    layer = keras_dcnn.layers.FancyPCA(std=0.1, scale="stddev", seed=0)
    layer.adapt(images)
    print(layer(images, training=True).shape)
    ```

    Reference:
        Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep Convolutional Neural
        Networks (2012), section 4.1.
        https://papers.nips.cc/paper/4824-imagenet-classification-with-deep-convolutional-neural-networks
    """

    def __init__(
        self,
        std: float = 0.1,
        scale: str = "eigenvalue",
        eigenvalues: Sequence[float] | None = None,
        eigenvectors: ArrayLike | None = None,
        value_range: tuple[float, float] = (0, 255),
        clip: bool = True,
        data_format: str | None = None,
        seed: int | keras.random.SeedGenerator | None = None,
        **kwargs: Any,
    ) -> None:
        check_number("std", std, minimum=0)
        check_choice("scale", scale, ("eigenvalue", "stddev"))
        check_value_range(value_range)
        check_flag("clip", clip)
        if std == 0:
            warn_no_effect("FancyPCA", "std=0")
        super().__init__(data_format=data_format, seed=seed, **kwargs)
        self.std = std
        self.scale = scale
        self.value_range = value_range
        self.clip = clip
        self._set_eigenpairs(eigenvalues, eigenvectors)

    def _set_eigenpairs(self, eigenvalues, eigenvectors):
        if (eigenvalues is None) != (eigenvectors is None):
            raise ValueError(
                "`eigenvalues` and `eigenvectors` must be given together; got only "
                f"`{'eigenvectors' if eigenvalues is None else 'eigenvalues'}`."
            )
        if eigenvalues is not None:
            eigenvalues, eigenvectors = _check_eigenpairs(eigenvalues, eigenvectors)
        self.eigenvalues = eigenvalues
        self.eigenvectors = eigenvectors

    def adapt(self, data: Any, batch_size: int = 256) -> None:
        """Measure the eigenpairs on a data set, in one pass and in constant memory.

        Args:
            data: Images in this layer's `value_range`: an array or memory map, or anything that
                yields batches (or single images): `tf.data.Dataset`, `keras.utils.PyDataset`, a
                generator, a torch `DataLoader`. Of `(images, labels, …)` the first is taken, of a
                dict the entry `"images"`; images whose weight, the third, is 0 are left out. Or the
                `PixelMoments` of such images, ready made.
            batch_size: Number of images taken at a time from an array.

        Raises:
            ValueError: for no images, images that are not RGB, pixels outside `value_range` or
                not finite, and images of one colour only.
        """
        low, high = self.value_range
        moments = moments_for(self, data, batch_size, shape=(3,))
        with adapting(self):
            if np.array_equal(moments.minimum, moments.maximum):
                raise ValueError(
                    "there must be more than one colour in the images; all pixels are "
                    f"{moments.mean.tolist()}."
                )
            moments.check_range(low, high)
            covariance = moments.covariance / (high - low) ** 2
        eigenvalues, eigenvectors = np.linalg.eigh(covariance)  # ascending
        self._set_eigenpairs(np.maximum(eigenvalues[::-1], 0), eigenvectors[:, ::-1])

    def get_random_transformation(self, images: Any) -> Any:
        """Draw one RGB shift per image, in the units of `value_range`, of shape (batch, 3)."""
        low, high = self.value_range
        scales = np.asarray(self.eigenvalues or IMAGENET_EIGENVALUES, "float32")
        scales = (high - low) * (np.sqrt(scales) if self.scale == "stddev" else scales)
        eigenvectors = np.asarray(self.eigenvectors or IMAGENET_EIGENVECTORS, "float32")
        alpha = self.std * self.normal(images, 3)
        return pca_colour_shift(alpha, scales, eigenvectors, self.ops)

    def transform_images(self, images: Any, transformation: Any) -> Any:
        ops = self.ops
        images = shift_colours(ops.cast(images, "float32"), transformation, self.channel_axis, ops)
        images = ops.clip(images, *self.value_range) if self.clip else images
        return ops.cast(images, self.compute_dtype)

    def save_own_variables(self, store: Any) -> None:
        if self.eigenvalues is not None:
            store["eigenvalues"] = np.asarray(self.eigenvalues)
            store["eigenvectors"] = np.asarray(self.eigenvectors)

    def load_own_variables(self, store: Any) -> None:
        if "eigenvalues" in store:
            self._set_eigenpairs(store["eigenvalues"][:], store["eigenvectors"][:])


def _check_eigenpairs(eigenvalues, eigenvectors):
    """Both as tuples of floats, or ValueError."""
    values, vectors = np.asarray(eigenvalues), np.asarray(eigenvectors)
    sound = values.shape == (3,) and values.dtype.kind in "fiu"
    if not sound or not np.all((values >= 0) & np.isfinite(values)):
        raise ValueError(f"`eigenvalues` must be three finite numbers ≥ 0; got {eigenvalues!r}.")
    orthonormal = vectors.shape == (3, 3) and vectors.dtype.kind in "fiu"
    # 1e-2 lets ImageNet's four printed digits pass.
    if not orthonormal or not np.allclose(vectors.T @ vectors, np.eye(3), atol=1e-2):
        raise ValueError(
            "`eigenvectors` must be a 3×3 orthonormal matrix, one eigenvector per column; "
            f"got {eigenvectors!r}."
        )
    return tuple(values.tolist()), tuple(tuple(row) for row in vectors.tolist())
