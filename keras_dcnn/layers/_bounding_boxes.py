"""Bounding boxes: Keras's formats to corners and back, and what becomes of boxes that move.

`keras.utils.bounding_boxes` does the like, but runs on Keras's own backend only and so not inside
tf.data under JAX and PyTorch.
"""

import functools

import keras

FORMATS = (
    "xyxy",
    "yxyx",
    "xywh",
    "center_xywh",
    "center_yxhw",
    "rel_xyxy",
    "rel_yxyx",
    "rel_xywh",
    "rel_center_xywh",
)


def to_corners(boxes, box_format, height, width, ops):
    """Left, top, right and bottom in pixels, each `(batch, boxes)`, of `(batch, boxes, 4)`."""
    first, second, third, fourth = ops.unstack(ops.cast(boxes, "float32"), 4, axis=-1)
    kind = box_format.removeprefix("rel_")
    if kind in ("yxyx", "center_yxhw"):
        first, second, third, fourth = second, first, fourth, third
    if kind.startswith("center"):
        first, second = first - third / 2.0, second - fourth / 2.0
    if kind.endswith(("wh", "hw")):
        third, fourth = first + third, second + fourth
    if box_format.startswith("rel_"):
        return first * width, second * height, third * width, fourth * height
    return first, second, third, fourth


def from_corners(left, top, right, bottom, box_format, height, width, ops):
    """The inverse of `to_corners`."""
    if box_format.startswith("rel_"):
        left, top, right, bottom = left / width, top / height, right / width, bottom / height
    kind = box_format.removeprefix("rel_")
    parts = [left, top, right, bottom]
    if kind.endswith(("wh", "hw")):
        parts[2:] = [right - left, bottom - top]
    if kind.startswith("center"):
        parts[:2] = [(left + right) / 2.0, (top + bottom) / 2.0]
    if kind in ("yxyx", "center_yxhw"):
        parts = [parts[1], parts[0], parts[3], parts[2]]
    return ops.stack(parts, axis=-1)


def box_around(corners, height, width, ops):
    """Edges (left, top, right, bottom) of the boxes around points (x, y), clipped to the image."""
    x, y = zip(*corners, strict=True)
    x, y = ([ops.clip(v, 0.0, n) for v in p] for p, n in ((x, width), (y, height)))
    # Two by two, since an image may have no boxes, and there is no lowest of nothing.
    left, top = (functools.reduce(ops.minimum, points) for points in (x, y))
    right, bottom = (functools.reduce(ops.maximum, points) for points in (x, y))
    return left, top, right, bottom


def has_area(edges, ops):
    left, top, right, bottom = edges
    return ops.logical_and(right > left, bottom > top)


def signed_dtype(labels):
    """Their dtype, or int32 for one that has no −1."""
    dtype = keras.backend.standardize_dtype(labels.dtype)
    return "int32" if "uint" in dtype else dtype


def signed(labels, ops):
    return ops.cast(labels, signed_dtype(labels))


def mark_lost(given, boxes, seen, ops):
    """`boxes` and their labels, both −1 where a box is not `seen` or was marked so before."""
    name = "labels" if "labels" in given else "classes"
    labels = signed(given[name], ops)
    lost = ops.cast(-1, labels.dtype)
    per_class = len(labels.shape) == len(boxes.shape)  # one-hot labels
    if not per_class:
        seen = ops.logical_and(seen, labels != lost)
    per_box = ops.expand_dims(seen, -1)
    return {
        "boxes": ops.where(per_box, boxes, -1.0),
        name: ops.where(per_box if per_class else seen, labels, lost),
    }
