"""Every kernel of every layer of Keras: right norms and variances, or a finding, or a word.

What is right is counted by hand in kernel_table.py: which entries of a kernel feed each unit.
"""

import inspect
import math

import keras
import numpy as np
import pytest
from kernel_table import CELLS, LAYERS, kernels_of, model_of

from keras_dcnn.constraints import MaxNorm
from keras_dcnn.diagnosis import examine
from keras_dcnn.initializers import CalibratedNormal, HeNormal, lsuv
from keras_dcnn.regularizers import WeightDecay, regularize

NO_KERNELS = {"alpha", "beta", "bias", "gamma", "moving_mean", "moving_variance"}


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor).astype("float64")


def norms(constraint, variable, units):
    """Of the units of weights that are all beyond the limit, after the constraint."""
    w = np.random.default_rng(0).uniform(1, 2, variable.shape)
    return np.linalg.norm(units(numpy(constraint(w.astype("float32")))), axis=1)


def right_stddev(units, variable, factor):
    """√(factor / n) with n the weights that are summed into a unit."""
    return math.sqrt(factor / units(numpy(variable)).shape[1])


def is_close(stddev, variable, right):
    """Within 5 standard deviations of what sampling so many numbers leaves open."""
    return abs(stddev / right - 1) < 5 / math.sqrt(2 * math.prod(variable.shape))


def test_every_kernel_of_keras_is_in_the_table():
    """A layer of a newer Keras with a kernel that nobody has thought about fails here."""
    known = {(type(LAYERS[name][1]()), prefix) for name in LAYERS for prefix in LAYERS[name][2]}
    known |= {(cell, prefix) for cell in CELLS for prefix in ("kernel", "recurrent")}
    there = set()
    for layer in vars(keras.layers).values():
        if inspect.isclass(layer) and issubclass(layer, keras.layers.Layer):
            for name in inspect.signature(layer.__init__).parameters:
                prefix = name.removesuffix("_initializer")
                if prefix != name and prefix not in NO_KERNELS:
                    there.add((layer, prefix))
    assert len(there) > 30
    assert there - known == set()


@pytest.mark.parametrize("name", LAYERS)
def test_what_the_table_says_is_right(name):
    """MaxNorm and the initializers as the table has them; nothing to be found, nor with neither."""
    arguments = {}
    for prefix, row in LAYERS[name][2].items():
        limit, start, _ = row if isinstance(row, tuple) else row[""]
        if limit is not None:
            arguments[f"{prefix}_constraint"] = MaxNorm(1.0, **limit)
        if start is not None:
            arguments[f"{prefix}_initializer"] = HeNormal(**start)
    model = model_of(name, **arguments)
    assert examine(model) == []
    kernels = kernels_of(name, model)
    assert kernels
    for variable, limit, start, units in kernels:
        if limit is not None:
            np.testing.assert_allclose(norms(variable.constraint, variable, units), 1, rtol=1e-5)
        if start is not None:
            right = right_stddev(units, variable, 2)
            assert is_close(numpy(variable).std(), variable, right), variable.path


@pytest.mark.parametrize("kind", ["standard", "transpose"])
@pytest.mark.parametrize("name", LAYERS)
def test_what_is_given_for_a_kind_is_right_or_found(name, kind):
    limit, start = MaxNorm(1.0, kernel=kind), CalibratedNormal(kind)
    given = {"constraint": limit, "initializer": start}
    prefixes = LAYERS[name][2]
    model = model_of(name, **{f"{p}_{role}": one for p in prefixes for role, one in given.items()})
    found = [(finding.rule, finding.message) for finding in examine(model)]
    for variable, _, initializers, units in kernels_of(name, model):
        messages = [one for one in found if f"of shape {variable.shape}" in one[1]]
        is_limited = np.allclose(norms(limit, variable, units), 1)
        assert is_limited == ("mismatched_max_norm" not in dict(messages)), variable.path
        right = right_stddev(units, variable, 1) if initializers is not None else 1
        stddev = numpy(variable).std()
        assert is_close(stddev, variable, right) == ("wrong_fan" not in dict(messages))
        if "wrong_fan" in dict(messages):
            numbers = dict(messages)["wrong_fan"].partition("deviation of ")[2]
            assert float(numbers.split(",")[0]) == pytest.approx(stddev, rel=0.1)
            assert numbers.endswith(f"is {right:.3g}")


def test_a_kind_that_the_kernel_is_too_flat_for_is_refused():
    for name in ("Dense", "LSTM", "Embedding"):
        (prefix, *_) = LAYERS[name][2]
        with pytest.raises(ValueError, match="kernel='depthwise' needs a kernel of rank 3 or more"):
            model_of(name, **{f"{prefix}_initializer": CalibratedNormal("depthwise")})


@pytest.mark.filterwarnings("ignore:what regularize.. put on")
@pytest.mark.parametrize("name", LAYERS)
def test_regularize_gives_each_kernel_its_axes(name):
    put_on = regularize(model_of(name), WeightDecay(0.1), MaxNorm(1.0), where=keras.layers.Layer)
    for variable, _, _, units in kernels_of(name, put_on):
        if variable.path.split("/")[-1] in ("embeddings", "recurrent_kernel"):
            assert variable.constraint is None  # as its docstring has it
        else:
            np.testing.assert_allclose(norms(variable.constraint, variable, units), 1, rtol=1e-5)
            assert variable.regularizer.decay == 0.1


def test_regularize_limits_each_embedding_that_is_named():
    put_on = regularize(model_of("Embedding"), None, MaxNorm(1.0), where=keras.layers.Embedding)
    ((variable, _, _, units),) = kernels_of("Embedding", put_on)
    np.testing.assert_allclose(norms(variable.constraint, variable, units), 1, rtol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_lsuv_treats_a_kernel_or_says_why_not(name):
    model = model_of(name)
    shape, dtype = LAYERS[name][0], model.inputs[0].dtype
    rng = np.random.default_rng(0)
    data = rng.integers(0, 60, (16, *shape)) if dtype == "int32" else rng.normal(2, 3, (16, *shape))
    before = {variable.path: numpy(variable) for variable in model.weights}
    rows = lsuv(model, data, verbose=0)
    done = [row.layer for row in rows if not row.note]
    for variable, _, _, _ in kernels_of(name, model):
        changed = not np.array_equal(before[variable.path], numpy(variable))
        holder = variable.path.rpartition("/")[0]
        treated = any(row.split()[0].endswith(holder) for row in done)
        assert changed == treated, variable.path
        assert treated or any(holder in row.layer for row in rows if row.note)


def test_regularize_under_lora_as_keras_does_it():
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4, name="adapted")])
    model.layers[0].enable_lora(2)
    put_on = regularize(model, WeightDecay(0.1))
    decayed = {variable.name for variable in put_on.weights if variable.regularizer}
    assert decayed == {"kernel", "lora_kernel_a", "lora_kernel_b"}
    with pytest.raises(ValueError, match="no constraint on layers that are adapted by LoRA; got a"):
        regularize(model, kernel_constraint=MaxNorm())
