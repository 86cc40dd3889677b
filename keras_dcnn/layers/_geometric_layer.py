"""GeometricLayer: what the layers share that move pixels, and with them masks, boxes, keypoints."""

import keras

from keras_dcnn._checks import check_choice, check_number
from keras_dcnn.layers._bounding_boxes import (
    FORMATS,
    box_around,
    from_corners,
    has_area,
    mark_lost,
    signed,
    signed_dtype,
    to_corners,
)
from keras_dcnn.layers._entries import check_boxes, check_keypoints, check_masks, dense
from keras_dcnn.layers._image_layer import ImageLayer
from keras_dcnn.layers._keypoints import marked
from keras_dcnn.layers._pixel_layer import shape_of
from keras_dcnn.layers._resampling import affine_coordinates, resample


class GeometricLayer(ImageLayer):
    """Base of the image layers whose transformation is one affine map per image.

    A subclass draws `{"matrix": (batch, 2, 2), "offset": (batch, 2)}`, which maps the (row, column)
    of an output pixel to that of the input, and says in `output_size` how large the output is.
    """

    channels = None
    moves = ("images", "segmentation_masks", "bounding_boxes", "keypoints")

    def __init__(
        self,
        fill_mode="reflect",
        fill_value=0.0,
        mask_fill_value=None,
        interpolation="nearest",
        bounding_box_format=None,
        **kwargs,
    ):
        check_choice("fill_mode", fill_mode, ("constant", "reflect", "wrap", "nearest"))
        check_number("fill_value", fill_value)
        if mask_fill_value is not None:
            check_number("mask_fill_value", mask_fill_value)
        check_choice("interpolation", interpolation, ("bilinear", "nearest", "bicubic"))
        if bounding_box_format is not None:
            check_choice("bounding_box_format", bounding_box_format, FORMATS)
        super().__init__(**kwargs)
        self.fill_mode = fill_mode
        self.fill_value = fill_value
        self.mask_fill_value = mask_fill_value
        self.interpolation = interpolation
        self.bounding_box_format = bounding_box_format

    def output_size(self, height, width):
        """Height and width of the output."""
        return height, width

    @property
    def _row_axis(self):
        """The axis of the rows, counted from the end."""
        return -3 if self.channel_axis == -1 else -2

    def sizes(self, images):
        """Height and width of images; a tensor each where they are not known yet."""
        shape, axis = self.ops.shape(images), self._row_axis
        return shape[axis], shape[axis + 1]

    def transform_images(self, images, transformation):
        how = (self.interpolation, self.fill_mode, self.fill_value, "float32")
        return self.ops.cast(self._resample(images, transformation, *how), self.compute_dtype)

    def transform_segmentation_masks(self, masks, transformation, images):
        """Resampled with nearest, in their own dtype; outside the image `mask_fill_value`.

        Where that is None they are filled as the images are; with 0 for `fill_mode="constant"`.
        """
        if len(masks.shape) == len(images.shape):
            return self.run(self._resample_masks, masks, transformation)
        axis = self.channel_axis
        masks = self.run(self._resample_masks, self.ops.expand_dims(masks, axis), transformation)
        return self.ops.squeeze(masks, axis)

    def _resample_masks(self, masks, transformation):
        dtype = keras.backend.standardize_dtype(masks.dtype)
        fill_mode = self.fill_mode if self.mask_fill_value is None else "constant"
        how = ("nearest", fill_mode, self.mask_fill_value or 0, dtype)
        return self._resample(masks, transformation, *how)

    def _resample(self, images, transformation, *how):
        ops, axis = self.ops, self.channel_axis
        matrix, offset = transformation["matrix"], transformation["offset"]
        coordinates = affine_coordinates(matrix, offset, *self._output_size(images), ops=ops)
        images = images if axis == -1 else ops.moveaxis(images, axis, -1)
        images = resample(images, *coordinates, *how, ops)
        return images if axis == -1 else ops.moveaxis(images, -1, axis)

    def transform_keypoints(self, keypoints, transformation, images):
        """Points `(batch, points, 2 or 3)`: x, y in pixels and visibility; lost ones marked."""
        before, after = map(self._float_sizes, (self.sizes(images), self._output_size(images)))
        keypoints = self.ops.cast(keypoints, "float32")
        points = keypoints[..., 0], keypoints[..., 1]
        moved = self._moved(*points, transformation)
        return marked(keypoints, (points, before), (moved, after), self.ops)

    def transform_bounding_boxes(self, bounding_boxes, transformation, images):
        """The boxes around the moved corners, clipped to the image.

        As Keras has it, a box of which nothing is left gets the label −1 and the coordinates −1.
        """
        ops, box_format = self.ops, self.bounding_box_format
        before, after = map(self._float_sizes, (self.sizes(images), self._output_size(images)))
        edges = to_corners(bounding_boxes["boxes"], box_format, *before, ops)
        corners = [self._moved(x, y, transformation) for x in edges[::2] for y in edges[1::2]]
        moved = box_around(corners, *after, ops)
        seen = ops.logical_and(has_area(edges, ops), has_area(moved, ops))
        boxes = from_corners(*moved, box_format, *after, ops)
        return {**bounding_boxes, **mark_lost(bounding_boxes, boxes, seen, ops)}

    def unmoved(self, entries):
        """As when they move: boxes and keypoints in float32, the labels of boxes signed."""
        moved, ops = super().unmoved(entries), self.ops
        if "keypoints" in moved:
            moved["keypoints"] = ops.cast(moved["keypoints"], "float32")
        if "bounding_boxes" in moved:
            given = moved["bounding_boxes"]
            labels = {n: signed(given[n], ops) for n in ("labels", "classes") if n in given}
            boxes = ops.cast(given["boxes"], "float32")
            moved["bounding_boxes"] = {**given, **labels, "boxes": boxes}
        return moved

    def _moved(self, x, y, transformation):
        """Where points of the input come to lie in the output; an edge of a pixel is whole."""
        m, b = transformation["matrix"], transformation["offset"]
        x, y = x - 0.5 - b[:, 1:], y - 0.5 - b[:, :1]
        determinant = (m[:, 0, 0] * m[:, 1, 1] - m[:, 0, 1] * m[:, 1, 0])[:, None]
        row = (m[:, 1, 1, None] * y - m[:, 0, 1, None] * x) / determinant
        column = (m[:, 0, 0, None] * x - m[:, 1, 0, None] * y) / determinant
        return column + 0.5, row + 0.5

    def _output_size(self, images):
        return self.output_size(*self.sizes(images))

    def _float_sizes(self, sizes):
        return [self.ops.cast(size, "float32") for size in sizes]

    def __call__(self, data, **kwargs):
        if isinstance(data, dict) and "images" in data:
            points = {"bounding_boxes", "keypoints"}
            data = {key: dense(one) if key in points else one for key, one in data.items()}
            images = shape_of(data["images"])
            if images is not None and len(images) in self.ranks:  # others are refused as images
                self._check_entries(data, images)
        return super().__call__(data, **kwargs)

    def _check_entries(self, data, images):
        if "keypoints" in data:
            check_keypoints(self._who, data["keypoints"], images)
        if "bounding_boxes" in data:
            check_boxes(self._who, data["bounding_boxes"], images, self.bounding_box_format)
        if "segmentation_masks" in data:
            how = (self.channel_axis, self.mask_fill_value)
            check_masks(self._who, data["segmentation_masks"], images, *how)

    def compute_output_shape(self, input_shape):
        shape, axis = list(input_shape), len(input_shape) + self._row_axis
        shape[axis : axis + 2] = self.output_size(*shape[axis : axis + 2])
        return tuple(shape)

    def compute_output_spec(self, data, training=None):
        if not isinstance(data, dict):
            return super().compute_output_spec(data, training=training)
        images = super().compute_output_spec(data["images"], training=training)
        # New tensors for all, since Keras writes into them where they come from.
        spec = keras.tree.map_structure(lambda x: keras.KerasTensor(x.shape, x.dtype), data)
        spec["images"], axis = images, len(images.shape) + self._row_axis
        if "keypoints" in data:
            spec["keypoints"] = keras.KerasTensor(data["keypoints"].shape, "float32")
        for name, x in data.get("bounding_boxes", {}).items():
            dtype = {"boxes": "float32", "labels": signed_dtype(x), "classes": signed_dtype(x)}
            spec["bounding_boxes"][name] = keras.KerasTensor(x.shape, dtype.get(name, x.dtype))
        if "segmentation_masks" in data:
            masks = data["segmentation_masks"]
            axis -= self.channel_axis == -3 and len(masks.shape) < len(images.shape)
            shape = (*masks.shape[:axis], *self.sizes(images), *masks.shape[axis + 2 :])
            spec["segmentation_masks"] = keras.KerasTensor(shape, masks.dtype)
        return spec
