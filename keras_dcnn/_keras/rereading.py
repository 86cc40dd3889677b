"""Whether data are as before when they have been read."""

import sys

import keras

_FAIL = 2  # where a tf.data set depends on what is outside of it


def is_stream(data):
    """Whether what is read of data is gone, or may be: iterators and what stands on them."""
    if hasattr(data, "__next__"):
        return True
    if _is_loader(data):
        return isinstance(data.dataset, sys.modules["torch"].utils.data.IterableDataset)
    return _is_set(data) and _graph(data) is None


def moves_when_read(data, steps=None):
    """Whether later passes over data, of so many steps, give something else when there is one more.

    An order that is drawn anew matters only where not all is read. What a PyDataset does at its
    epochs' ends, and a generator of random numbers that a DataLoader has for itself, may move.
    """
    if is_stream(data):
        return True
    if isinstance(data, keras.utils.PyDataset):
        hooks = ("on_epoch_begin", "on_epoch_end")
        return any(getattr(type(data), n) is not getattr(keras.utils.PyDataset, n) for n in hooks)
    if _is_loader(data):
        return any(getattr(one, "generator", None) for one in (data, data.sampler))
    if not _is_set(data):
        return False
    nodes = _graph(data)
    draws = any("reshuffle_each_iteration" in n.attr and _reshuffles(n) for n in nodes)
    takes = any(n.op.startswith(("Take", "Skip", "Shard")) for n in nodes)
    return draws and (steps is not None or takes)


def _reshuffles(node):
    return node.attr["reshuffle_each_iteration"].b


def _is_loader(data):
    return "torch" in sys.modules and isinstance(data, sys.modules["torch"].utils.data.DataLoader)


def _is_set(data):
    return "tensorflow" in sys.modules and isinstance(data, sys.modules["tensorflow"].data.Dataset)


def _graph(data):
    """The nodes of a tf.data set; None where it calls Python or draws from outside of itself.

    Its tensor is private; a question to the set whether it is deterministic would replace this.
    """
    import tensorflow as tf

    try:
        graph = tf.raw_ops.DatasetToGraphV2(
            input_dataset=data._variant_tensor, external_state_policy=_FAIL
        )
    except tf.errors.FailedPreconditionError:
        return None
    graph = tf.compat.v1.GraphDef.FromString(graph.numpy())
    return [*graph.node, *(node for one in graph.library.function for node in one.node_def)]
