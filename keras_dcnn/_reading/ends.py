"""Whether data end, and whether they can be read more than once, as far as one can tell."""


def check_ends(name, data):
    """Raise ValueError for a PyDataset or a tf.data.Dataset without an end."""
    if getattr(data, "num_batches", 0) is None:
        raise ValueError(f"{name} must end; got a PyDataset whose `num_batches` is None.")
    cardinality = getattr(data, "cardinality", None)
    if callable(cardinality) and int(cardinality()) == -1:
        raise ValueError(f"{name} must end; got an infinite dataset: drop its `.repeat()`.")


def check_readable_again(name, data):
    """Raise ValueError for a generator or another iterator, which is empty after one pass."""
    if hasattr(data, "__next__"):
        raise ValueError(
            f"{name} must be readable again and again; got a {type(data).__name__}, which is "
            "empty after one pass: give arrays, a keras.utils.PyDataset, or "
            "tf.data.Dataset.from_generator of the function that makes the generator."
        )
