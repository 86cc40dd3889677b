"""Groups of a model's variables by depth."""

import math
from typing import NamedTuple

import keras

from keras_dcnn._checks import check_count
from keras_dcnn._keras.graph import all_layers
from keras_dcnn._structure.blocks import blocks_of
from keras_dcnn._structure.groups import groups_of_layers
from keras_dcnn._structure.where import check_where

AUTO = 14  # those of BEiT's base model: patches, twelve layers, head
_HEAD = ("group", "layers", "variables", "parameters", "rate")


class LayerGroup(NamedTuple):
    """The variables that are trained in one part of a model, and their share of the rate."""

    number: int  # counted from the input
    variables: list[keras.Variable]
    share: float

    def row(self, rate):
        """What a table says of it."""
        names = [one.path.split("/")[-2:][0] for one in self.variables]
        layers = " … ".join(dict.fromkeys([names[0], names[-1]]))
        parameters = sum(math.prod(one.shape) for one in self.variables)
        count = len(self.variables)
        return [str(self.number), layers, str(count), f"{parameters:,}", f"{rate * self.share:.2g}"]


def check_groups(groups):
    """Raise for what can't say the groups of a model."""
    if isinstance(groups, (list, tuple)) and groups:
        check_where(groups)
    elif groups != "auto":
        if isinstance(groups, str) or not hasattr(groups, "__index__"):
            raise ValueError(
                '`groups` must be "auto", the number of groups, or a list of which layers each '
                f'has, such as ["stem*", "block*"]; got {groups!r}.'
            )
        check_count("groups", groups, minimum=2)


def layer_groups(model, groups, decay):
    """The LayerGroups from the input to the head, without those that have nothing to train.

    Each variable is in one: that of the first block it is in, or the first of `groups`; what is in
    none is with the head.
    """
    is_list = isinstance(groups, (list, tuple))
    places = _chosen(model, groups) if is_list else _by_depth(model, groups)
    rest = max(places.values(), default=0)
    if is_list and any(id(one) not in places for one in model.weights):
        rest += 1
    if not rest:
        raise ValueError(
            "`model` must have two blocks at least, so that their rates differ; "
            f"`{model.name}` has one: list the layers of each group, as in groups=['stem*']."
        )
    variables = [[] for _ in range(rest + 1)]
    for one in model.trainable_variables:
        variables[places.get(id(one), rest)].append(one)
    return [
        LayerGroup(place + 1, own, decay ** (rest - place))
        for place, own in enumerate(variables)
        if own
    ]


def _by_depth(model, groups):
    """By the id of a weight the number of its block."""
    blocks = blocks_of(model, AUTO if groups == "auto" else groups)
    if blocks is None:
        raise ValueError(
            "`model` must be made of connected layers, Sequential or keras.Model(inputs, outputs), "
            f"for its depth to be seen; `{model.name}` is a {type(model).__name__} with a `call` "
            "of its own: list the layers of each group, from the input to the head, as in "
            "groups=['stem*', 'block*']."
        )
    places = {}
    for place, block in enumerate(blocks):
        for layer in block.layers:
            for weight in layer.weights:
                places.setdefault(id(weight), place)
    return places


def _chosen(model, groups):
    """By the id of a weight the first of the groups that it fits."""
    places, of_layers = {}, groups_of_layers(model, groups)
    for layer in all_layers(model):
        place = of_layers.get(id(layer))
        for weight in layer.weights if place is not None else []:
            places[id(weight)] = min(place, places.get(id(weight), place))
    for place, where in enumerate(groups):
        if place not in places.values():
            raise ValueError(
                "each of `groups` must have weights that are in no group before it; group "
                f"{place + 1} ({where!r}) has none: see the names in model.summary()."
            )
    return places


def group_table(groups, rate):
    """A line for each group, with the rate that it has of this one."""
    rows = [_HEAD, *(group.row(rate) for group in groups)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    shown = ("{:>{}}", "{:<{}}", "{:>{}}", "{:>{}}", "{:>{}}")
    return "\n".join(
        "  ".join(
            form.format(cell, width) for form, cell, width in zip(shown, row, widths, strict=True)
        )
        for row in rows
    )
