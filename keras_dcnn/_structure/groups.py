"""Groups of layers, of which each is a `where`."""

from keras_dcnn._keras.graph import all_layers, walk_paths
from keras_dcnn._structure.where import is_chosen


def groups_of_layers(model, groups):
    """By the id of a layer the index of the first group that it fits, or one that it is in."""
    found = {}
    for path, layer in walk_paths(model):
        fits = (i for i, where in enumerate(groups) if is_chosen(where, path, layer))
        group = next(fits, None)
        if group is not None:
            for inner in all_layers(layer):
                found[id(inner)] = min(group, found.get(id(inner), group))
    return found


def groups_of_variables(model, groups):
    """The variables that are trained, and for each the index of its group, or None.

    One that several layers have is in the first of their groups.
    """
    found, of_layers = {}, groups_of_layers(model, groups)
    for layer in all_layers(model):
        group = of_layers.get(id(layer))
        if group is not None:
            for one in layer.trainable_variables:
                found[id(one)] = min(group, found.get(id(one), group))
    variables = model.trainable_variables
    return variables, [found.get(id(one)) for one in variables]
