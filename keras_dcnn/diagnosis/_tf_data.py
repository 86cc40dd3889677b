"""A copy of a tf.data set that shares no state with it."""

import warnings

# Of what is shared by all iterators of a set, TensorFlow makes a new one in the place of these.
_SHARED = {"/SeedGenerator": "DummySeedGenerator", "/MemoryCache": "DummyMemoryCache"}


def independent_copy(dataset):
    """A set with the same steps, random numbers as at the first reading, and its own variables.

    The graph of the set is written and read, data in memory too. Where that fails, as beyond 2 GB,
    it is the set itself, with a warning.
    """
    import tensorflow as tf

    try:
        graph = tf.raw_ops.DatasetToGraphV2(
            input_dataset=tf.data.experimental.to_variant(dataset),
            external_state_policy=1,  # functions of Python are called in the copy as well
            strip_device_assignment=False,
        )
        graph = _without_shared_state(tf.compat.v1.GraphDef.FromString(graph.numpy()))
        variant = tf.raw_ops.DatasetFromGraph(graph_def=graph.SerializeToString())
        copy = tf.data.experimental.from_variant(variant, dataset.element_spec)
        return copy.with_options(dataset.options())
    except (tf.errors.OpError, TypeError, ValueError) as error:
        warnings.warn(
            "the tf.data set can't be copied, so it is read itself, and a shuffle in it will go on "
            f"from there instead of from its first order: {str(error)[:200]}",
            stacklevel=2,
        )
        return dataset


def _without_shared_state(graph):
    for node in graph.node:
        for handle in node.attr["value"].tensor.resource_handle_val if node.op == "Const" else ():
            for name, fresh in _SHARED.items():
                if name in handle.name:
                    node.op = fresh
                    node.attr.clear()
    return graph
