"""WhiteningLayer: what PCA and ZCA whitening share."""

import math
from typing import Any

import keras
import numpy as np

from keras_dcnn._checks import check_count, check_keywords, check_number
from keras_dcnn.layers.preprocessing._adapted_layer import AdaptedLayer, as_float32


def principal_components(covariance, count):
    """The `count` largest eigenvalues S, falling, and their eigenvectors, the columns of U."""
    values, vectors = np.linalg.eigh(covariance)  # ascending
    values, vectors = np.maximum(values[::-1][:count], 0), vectors[:, ::-1][:, :count]
    # The sign is free; so that data and machines agree, the largest entry is positive.
    largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(count)]
    return values, vectors * np.sign(largest)


def whiten(x, mean, projection, ops=keras.ops):
    """(x − mean) P, for vectors in the rows of x."""
    return ops.matmul(x - mean, projection)


class WhiteningLayer(AdaptedLayer):
    """Base of the whitening layers; a subclass says in `_projection(U, √(S + ε))` what P is."""

    covariance = True

    def __init__(
        self, num_components: int | None = None, epsilon: float = 1e-5, **kwargs: Any
    ) -> None:
        check_keywords(self, kwargs)  # no `per`, and no data format: the dimensions have no order
        if num_components is not None:
            check_count("num_components", num_components)
        check_number("epsilon", epsilon, minimum=0)
        super().__init__(per="dimension", **kwargs)
        self.num_components = num_components
        self.epsilon = epsilon

    def _sizes(self, shape):
        """Dimensions of the images and number of components, checked."""
        dimension = math.prod(shape)
        if self.num_components is not None and self.num_components > dimension:
            raise ValueError(
                f"{self._who} can't have more components than dimensions; got num_components="
                f"{self.num_components} for {dimension} dimensions."
            )
        return dimension, self.num_components or dimension

    def _measure(self, moments):
        dimension, count = self._sizes(moments.mean.shape)
        if np.array_equal(moments.minimum, moments.maximum):
            raise ValueError(
                f"whitening needs images that differ; all {moments.count} are the same."
            )
        covariance = moments.covariance
        as_float32("standard deviation", np.sqrt(covariance.diagonal()))
        values, vectors = principal_components(covariance, count)
        self._check_variance(values, moments.count, dimension)
        projection = self._projection(vectors, np.sqrt(values + self.epsilon))
        return {"mean": moments.mean.ravel(), "projection": projection}

    def _check_variance(self, values, images, dimension):
        """Raise ValueError where a component would be divided by nothing but rounding error."""
        rounding = np.finfo("float64").eps * values[0]
        limit = rounding if self.epsilon else dimension * rounding
        if values[-1] + self.epsilon <= limit:
            rank = np.count_nonzero(values > dimension * rounding)
            raise ValueError(
                f"each component must vary for its standard deviation to divide by; got {rank} "
                f"that do of {len(values)}, from {images} images of {dimension} dimensions, with "
                f"epsilon={self.epsilon}: set `epsilon` well above {limit:.2g}, the rounding, "
                f"or `num_components` to at most {rank}."
            )

    def _flat(self, images, statistics):
        """A batch of images, whitened, as rows."""
        ops, mean = self.ops, statistics["mean"]
        x = ops.cast(ops.reshape(images, (-1, mean.shape[0])), "float32")
        return ops.cast(whiten(x, mean, statistics["projection"], ops), self.compute_dtype)
