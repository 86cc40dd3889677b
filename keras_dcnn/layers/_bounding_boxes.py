"""Bounding boxes: Keras's formats to corners and back, on the backend that is running.

As `keras.utils.bounding_boxes.convert_format`, which runs on Keras's own backend only and so not
inside tf.data under JAX and PyTorch.
"""

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
