"""Keypoints: what becomes of points that move; missing and lost ones get a mark."""

_SLACK = 1e-2  # pixels by which rounding may carry a point over the border


def is_inside(x, y, height, width, ops):
    """Whether points lie in the image, its border included; not where they are NaN."""
    within = [ops.logical_and(v >= -_SLACK, v <= n + _SLACK) for v, n in ((x, width), (y, height))]
    return ops.logical_and(*within)


def marked(given, before, after, ops):
    """`(batch, points, 2 or 3)`: the points `after`, with −1 for x and y where one is not seen.

    `before` and `after` are pairs of (x, y) and (height, width). Points are not seen that lie
    outside the image on either side, or whose visibility, the third number of those `given`, is
    not above 0; it becomes 0.
    """
    seen = ops.logical_and(*(is_inside(*point, *size, ops) for point, size in (before, after)))
    visibility = given[..., 2:]
    if given.shape[-1] == 3:
        seen = ops.logical_and(seen, given[..., 2] > 0.0)
    (x, y), (height, width) = after
    seen, point = ops.expand_dims(seen, -1), [ops.clip(x, 0.0, width), ops.clip(y, 0.0, height)]
    moved = ops.where(seen, ops.stack(point, axis=-1), -1.0)
    return ops.concatenate([moved, ops.where(seen, visibility, 0.0)], axis=-1)
