"""The model that is trained: augmentation, the part of a pretrained network, and a new head."""

import keras

from keras_dcnn._structure.batch_norm import batch_norm_layers
from keras_dcnn._structure.blocks import blocks_of
from keras_dcnn.layers import standard_augmentation


def augmentation_of(augmentation, images, seed):
    """The layer that is given or, for "standard", made for images like these; None for none."""
    if augmentation is None or isinstance(augmentation, keras.Layer):
        return augmentation
    if augmentation != "standard":
        raise ValueError(
            '`augmentation` must be "standard", a Keras layer that takes raw images, or None; got '
            f"{augmentation!r}."
        )
    return _standard(images, seed)


def _standard(images, seed):
    low, high, shape = float(images.min()), float(images.max()), images.shape[1:]
    first = keras.config.image_data_format() == "channels_first"
    height, width, channels = (*shape[1:], shape[0]) if first else shape
    if channels != 3 or low < 0 or high > 255 or high <= 1:
        raise ValueError(
            'augmentation="standard" is for RGB images of 0…255; the first have '
            f"{channels} channel{'s' * (channels != 1)} of {low:.4g}…{high:.4g}: give such, with "
            "the scaling inside of the network, or a layer of your own as `augmentation`, or None."
        )
    return standard_augmentation(height, width, seed=seed)


def classifier(trunk, image_shape, head, augmentation=None):
    """The model from images to classes; the layers of the trunk are shared."""
    images = keras.Input(image_shape, name="images")
    x = images if augmentation is None else augmentation(images)
    x = trunk(x)
    if len(x.shape) > 2:
        x = keras.layers.GlobalAveragePooling2D(name="pooled_features")(x)
    return keras.Model(images, head(x), name=f"{trunk.name}_classifier")


def new_head(num_classes, seed):
    """A layer of classes that says nearly the same of each class at first."""
    small = keras.initializers.RandomNormal(stddev=1e-3, seed=seed)
    return keras.layers.Dense(
        num_classes, "softmax", kernel_initializer=small, dtype="float32", name="classes"
    )


def head_of(kernel, bias):
    """The layer of classes that a probe has found."""
    head = keras.layers.Dense(len(bias), "softmax", dtype="float32", name="classes")
    head.build((None, len(kernel)))
    head.set_weights([kernel, bias])
    return head


def freeze(trunk, share_trained):
    """Let only the last blocks be trained, at least one; says which, to begin a sentence with.

    BatchNorm stays as it is in all of them, as at inference: its statistics are of many more images
    (keras#9214), and of a call with training=False Keras 3.15 makes training=True in `fit`.
    """
    blocks = blocks_of(trunk)
    count = max(1, round(share_trained * len(blocks)))
    frozen = [layer for block in blocks[: len(blocks) - count] for layer in block.layers]
    for layer in [*frozen, *batch_norm_layers(trunk)]:
        layer.trainable = False
    if count == len(blocks):
        return "all blocks and the classifier"
    first = blocks[-count].name
    return f"the last {count} of {len(blocks)} blocks, from `{first}` on, and the classifier"
