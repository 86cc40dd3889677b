"""What a comparison of remedies is given, and what can be wrong with it."""

import keras
import numpy as np

from keras_dcnn._checks import check_choice, check_count, check_seed
from keras_dcnn._reading.batches import first_batch
from keras_dcnn._reading.fingerprints import fingerprints
from keras_dcnn._reading.labels import check_each_class, check_labels, class_numbers
from keras_dcnn._reading.rows import as_arrays, check_finite, check_lengths, named
from keras_dcnn._structure.builds import make_probe
from keras_dcnn.imbalance._phases import samples_of
from keras_dcnn.imbalance._remedies import REMEDIES, check_remedy, loss_of


def as_remedies(remedies):
    """The names, in their order, "none" among them."""
    if isinstance(remedies, str) and remedies == "all":
        return REMEDIES
    if isinstance(remedies, str) or not isinstance(remedies, (list, tuple)) or not remedies:
        raise ValueError(
            f'`remedies` must be "all" or a list of names, as in ["over"]; got {remedies!r}.'
        )
    for name in remedies:
        check_choice("remedies", name, REMEDIES)
    return tuple(name for name in REMEDIES if name in ("none", *remedies))


def as_seeds(seeds):
    """A list of at least two different seeds."""
    if not isinstance(seeds, (list, tuple, range, np.ndarray)):
        check_count("seeds", seeds, minimum=2)
        return list(range(seeds))
    for seed in seeds:
        check_count("seeds", seed, minimum=0)
        check_seed(seed)
    if len(seeds) < 2 or len(set(seeds)) < len(seeds):
        raise ValueError(
            "`seeds` must be at least two different whole numbers, as intervals are over seeds; "
            f"got {[*seeds]}."
        )
    return [int(seed) for seed in seeds]


def as_pair(name, data, is_needed=True):
    """The arrays (x, y), of equal lengths; None for None, unless needed."""
    if data is None and not is_needed:
        return None
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        got = f" of {len(data)}" if isinstance(data, (tuple, list)) else ""
        raise TypeError(
            f"`{name}` must be a pair of arrays, (x, y); got {type(data).__name__}{got}: weights "
            "of samples and batches are not for comparisons."
        )
    arrays = as_arrays(tuple(data))
    check_lengths(named(arrays))
    for leaf in keras.tree.flatten(arrays[0]):
        check_finite(f"x of `{name}`", leaf)
    return arrays


def make_model(build, data):
    """An untrained model, its Loss and the Samples of the training data, which fit each other."""
    probe = make_probe(build, {}, first_batch(data, 1))
    shapes = [output.shape for output in getattr(probe, "outputs", None) or []]
    if len(shapes) != 1 or len(shapes[0]) != 2 or (shapes[0][-1] or 0) < 2:
        raise ValueError(
            "the model of `build` must have one output, (batch, classes), with at least two "
            f"classes; `{probe.name}` has {shapes or 'none that is to be seen'}: give a classifier "
            "with softmax or logits, of two units for two classes."
        )
    loss, y, classes = loss_of(probe), np.asarray(data[1]), shapes[0][-1]
    if loss.of_numbers == (y.ndim == 2 and y.shape[1] > 1):
        raise ValueError(
            f"the loss of `build` must fit the labels; y has the shape {y.shape}: use "
            f"{'CategoricalCrossentropy' if loss.of_numbers else 'SparseCategoricalCrossentropy'}."
        )
    samples = samples_of(data, classes)
    if len(samples.counts) < classes:
        raise ValueError(
            f"each of the {classes} outputs must be of a class with samples in `data`; class "
            f"{len(samples.counts)} has none: give the model as many outputs as there are classes."
        )
    outputs = probe(first_batch(data, 8), training=False)
    outputs = keras.ops.convert_to_numpy(keras.ops.cast(outputs, "float32"))
    if not loss.from_logits and (outputs.min() < 0 or np.abs(outputs.sum(1) - 1).max() > 0.01):
        raise ValueError(
            "the model of `build` must give probabilities, as its loss says; got outputs from "
            f"{outputs.min():.3g} to {outputs.max():.3g}: end it with a softmax, or compile with "
            "from_logits=True."
        )
    return probe, samples


def held_out_labels(name, pair, classes):
    """The classes of held-out samples, of which each must occur; None for None."""
    if pair is None:
        return None
    y, _ = class_numbers(pair[1])
    check_labels(f"y of {name}", y, classes)
    check_each_class(f"`{name}`", np.bincount(y, minlength=classes), "add some")
    return y


def possible(names, model, plan, is_listed):
    """Those that the model and the data allow, and notes on the others; ValueError if listed."""
    left, notes = [], []
    for name in names:
        try:
            check_remedy(name, model, plan)
        except ValueError as error:
            why = str(error).rpartition(": ")[0] or str(error).rstrip(".")
            if is_listed:
                raise ValueError(f'{why}: leave "{name}" out of `remedies`.') from error
            notes.append(f"{name} is left out: {why}.")
        else:
            left.append(name)
    return left, notes


def prints_of(pair):
    """What tells data from others."""
    return None if pair is None else [fingerprints(pair[0]), np.asarray(pair[1])]
