"""What the tests of entries that move with the images share."""

import keras

SIZE = (26, 22)


def numpy(data):
    return keras.tree.map_structure(keras.ops.convert_to_numpy, data)
