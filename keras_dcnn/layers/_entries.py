"""What moves with images: masks, boxes and keypoints as users give them, made dense and checked."""

import keras
import numpy as np

from keras_dcnn._checks import check_real
from keras_dcnn.layers._bounding_boxes import FORMATS
from keras_dcnn.layers._pixel_layer import described, shape_of


def dense(entry, size=None):
    """`entry`, or a dict of such, without RaggedTensors; those are filled up with −1.

    keras-cv's layers give ragged boxes; −1 is what it and Keras mark missing ones with. `size` is
    that of the last axis, which they may not know.
    """
    if isinstance(entry, dict):
        return {key: dense(one, 4 if key == "boxes" else None) for key, one in entry.items()}
    if not hasattr(entry, "bounding_shape"):
        return entry
    import tensorflow as tf

    entry = tf.cast(entry, "int32") if entry.dtype.is_unsigned else entry  # which has no −1
    return entry.to_tensor(-1, shape=[*entry.shape[:-1], size] if size else None)


def check_keypoints(who, points, images):
    shape, batch = shape_of(points), images[:-3]
    if not _fits(shape, batch, (2, 3)):
        flat = shape is not None and _agree(shape[:-1], batch) and (shape[-1:] or [1])[0]
        flat = flat and flat % 3 == 0
        fix = "reshape the flat list of COCO to (…, count, 3)" if flat else "give every image as "
        raise ValueError(
            f"{who} takes keypoints of shape {(*batch, 'count', 2)}, (x, y) in pixels, or "
            f"{(*batch, 'count', 3)} with a visibility, for images of shape {images}; got "
            f"{_received(points, shape)}: {fix if flat else fix + 'many, (-1, -1) where missing'}."
        )
    check_real(f"{who}: keypoints", points)


def check_boxes(who, boxes, images, box_format):
    if box_format is None:
        raise ValueError(
            f"{who} moves the bounding boxes too and needs to know their format; got "
            f"bounding_box_format=None: set it to one of {', '.join(FORMATS)}."
        )
    names = {"labels", "classes"} & {*boxes} if isinstance(boxes, dict) else ()
    if not names or "boxes" not in boxes:
        raise ValueError(
            f"{who} takes bounding boxes as a dict with 'boxes' and 'labels' (keras-cv: "
            f"'classes'); got {[*boxes] if isinstance(boxes, dict) else type(boxes).__name__}."
        )
    shape, batch = shape_of(boxes["boxes"]), images[:-3]
    if not _fits(shape, batch, (4,)):
        raise ValueError(
            f"{who} takes boxes of shape {(*batch, 'count', 4)} for images of shape {images}; got "
            f"{_received(boxes['boxes'], shape)}: give every image as many, filled up with some "
            "whose label is -1."
        )
    check_real(f"{who}: boxes", boxes["boxes"])
    for name in names:
        labels = shape_of(boxes[name])
        if labels is None or not _agree(labels[: len(shape) - 1], shape[:-1]):
            raise ValueError(
                f"{who} takes a label for each box, {(*batch, 'count')}, or a one-hot row; got "
                f"'{name}' of {_received(boxes[name], labels)} for boxes of shape {shape}."
            )
        check_real(f"{who}: '{name}' of boxes", boxes[name])


def check_masks(who, masks, images, channel_axis, fill_value):
    shape, rows = shape_of(masks), -3 if channel_axis == -1 else -2
    full = shape
    if shape is not None and len(shape) == len(images) - 1:  # without channels
        full = (*shape, None) if channel_axis == -1 else (*shape[:-2], None, *shape[-2:])
    axis = len(images) + rows
    if (
        full is None
        or len(full) != len(images)
        or not _agree(full[:-3], images[:-3])
        or full[axis : axis + 2] != images[axis : axis + 2]
    ):
        raise ValueError(
            f"{who} takes segmentation masks of the height and width of the images, with "
            f"or without channels; got masks of {_received(masks, shape)} for images of shape "
            f"{images}."
        )
    check_real(f"{who}: segmentation masks", masks)
    dtype = keras.backend.standardize_dtype(masks.dtype)
    if fill_value is not None and not _can_hold(dtype, fill_value):
        raise ValueError(
            f"{who} fills masks with mask_fill_value={fill_value}, which masks of {dtype} can't "
            "hold: give another, or cast the masks (to int32 for -1)."
        )


def _can_hold(dtype, value):
    if dtype == "bool":
        return value in (0, 1)
    if "int" not in dtype:
        return abs(value) <= (65504 if dtype == "float16" else 3e38)
    return value == int(value) and np.iinfo(dtype).min <= value <= np.iinfo(dtype).max


def _fits(shape, batch, sizes):
    """Whether `shape` is (*batch, count, size) for one of the sizes."""
    return (
        shape is not None
        and len(shape) == len(batch) + 2
        and shape[-1] in sizes
        and _agree(shape[: len(batch)], batch)
    )


def _agree(shape, other):
    """Whether the sizes are the same, as far as they are known."""
    pairs = zip(shape, other, strict=False)
    return len(shape) == len(other) and all(a == b or None in (a, b) for a, b in pairs)


def _received(entry, shape):
    if shape is not None or not hasattr(entry, "shape"):
        return described(entry, shape)
    ragged = hasattr(entry, "bounding_shape")
    return "a RaggedTensor" if ragged else "a tensor of unknown rank: say it by its `set_shape`"
