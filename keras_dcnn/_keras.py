"""The one file that reaches into Keras's private modules, so that a new Keras is met here."""

import keras

from keras_dcnn._validation import check_keywords

_ImageBase = next(
    base
    for base in keras.layers.RandomGrayscale.__mro__
    if base.__name__ == "BaseImagePreprocessingLayer"
)


class _BackendOps:
    """`keras.ops` by name on a backend that is not the one Keras runs on (inside tf.data)."""

    def __init__(self, backend):
        self._backend = backend

    def __getattr__(self, name):
        backend = self._backend
        for module in (backend.numpy, backend.core):
            if hasattr(module, name):
                return getattr(module, name)
        raise AttributeError(f"no operation `{name}` on the {backend.name} backend")


class ImageLayer(_ImageBase):
    """Base of the image layers: what they share beside the formula.

    A subclass gives two methods, sampling apart from applying:
    `get_random_transformation(data, training, seed)` and
    `transform_images(images, transformation, training)`, which sees a batch of RGB images.

    Takes single images and batches, alone or under the key `"images"` of a dict, of which nothing
    else is touched. Works in a model and inside `tf.data.map` on every backend. Returns the layer's
    `compute_dtype`, also for uint8 images.
    """

    _USE_BASE_FACTOR = False

    def __init__(self, data_format=None, seed=None, **kwargs):
        check_keywords(self, kwargs)
        super().__init__(data_format=data_format, **kwargs)
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)

    def __call__(self, data, **kwargs):
        # Only images reach Keras, which casts and converts every leaf that it is given.
        if not isinstance(data, dict):
            return super().__call__(data, **kwargs)
        if "images" not in data:
            raise ValueError(
                f"{type(self).__name__} `{self.name}` needs the images of a dict under the key "
                f"'images'; got the keys {sorted(data)}."
            )
        return {**data, "images": super().__call__(data["images"], **kwargs)}

    def call(self, images, training=True):
        shape = tuple(images.shape)
        if len(shape) not in (3, 4) or shape[self.channel_axis] != 3:
            one = "(3, height, width)" if self.channel_axis == -3 else "(height, width, 3)"
            raise ValueError(
                f"{type(self).__name__} `{self.name}` takes RGB images of shape {one} under "
                f"data_format={self.data_format!r}, or a batch of them; got shape {shape}."
            )
        if not training:
            return self.ops.cast(images, self.compute_dtype)
        return super().call(images, training=training)

    @property
    def channel_axis(self):
        """The axis of the channels, counted from the end: right for one image and for a batch."""
        return -3 if self.data_format == "channels_first" else -1

    @property
    def ops(self):
        """`keras.ops`, on TensorFlow while a tf.data pipeline is being traced."""
        if self.backend.name == keras.backend.backend():
            return keras.ops
        return _BackendOps(self.backend)

    def batch_size(self, images):
        """Number of images; 1 for a single image."""
        return 1 if len(images.shape) == 3 else self.ops.shape(images)[0]

    def random_uniform(self, shape, seed=None):
        """Uniform draws in [0, 1), float32, on the backend that is running."""
        seed = self._get_seed_generator(self.backend.name) if seed is None else seed
        return self.backend.random.uniform(shape, dtype="float32", seed=seed)

    def random_normal(self, shape, seed=None):
        """Standard normal draws, float32, on the backend that is running."""
        seed = self._get_seed_generator(self.backend.name) if seed is None else seed
        return self.backend.random.normal(shape, dtype="float32", seed=seed)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}


def leaf_optimizers(optimizer):
    """The optimizers that hold a learning rate: those inside loss scaling and MultiOptimizer."""
    if hasattr(optimizer, "inner_optimizer"):
        return leaf_optimizers(optimizer.inner_optimizer)
    if hasattr(optimizer, "optimizers"):
        return [leaf for inner in optimizer.optimizers for leaf in leaf_optimizers(inner)]
    return [optimizer]


def has_fixed_rate(optimizer):
    """False where the learning rate is a schedule or a callable, so that it can't be set."""
    return isinstance(optimizer._learning_rate, keras.Variable)


def infer_mode(model, monitor):
    """`"min"` or `"max"`, by the direction that Keras knows of each of its metrics.

    Raises ValueError, in Keras's words, where the direction isn't known.
    """
    base = keras.callbacks.ReduceLROnPlateau.__mro__[1]  # MonitorCallback, which is not exported
    probe = base(monitor)
    probe.set_model(model)
    probe._set_monitor_op()
    return "max" if probe.monitor_op is keras.ops.greater else "min"


def output_layer(model):
    """The layer that makes the only output of a model, or None where that isn't to be seen."""
    outputs = getattr(model, "outputs", None)  # subclassed models have none
    if not outputs or len(outputs) != 1:
        return None
    operation = outputs[0]._keras_history.operation
    if isinstance(operation, keras.Model):
        return output_layer(operation)
    return operation if isinstance(operation, keras.layers.Layer) else None
