"""What tells a run of trainings from another: source text, defaults, closures, configurations."""

import importlib.util
import json
import os
import subprocess
import sys

import keras
import pytest

from keras_dcnn.ensemble.training._descriptions import describe, model_text

SCRIPT = """
import enum, functools, pathlib
import numpy as np
class Kind(enum.Enum):
    A = 1
    B = 2
class Base:
    def method(self):
        return 1
class Other(Base):
    def method(self):
        return 2
def closed(n, default=1):
    def inner(x=default):
        return [i for i in range(n) if i in {"a", "b", "c", n}]
    return inner
class Call:
    def __init__(self, n):
        self.n, self.me, self.other = n, self, object()
    def __call__(self):
        return self.n
    def method(self):
        return self.n
def itself():
    return itself
def recursive():
    def inner(n):
        return inner(n - 1) if n else 0
    return inner
def generator():
    yield 1
VALUES = [
    lambda: [],  # of which one stands on a line
    lambda: [1],
    lambda: [1.0],
    lambda: len,
    lambda: max,
    closed(1), closed(2),
    closed(1, 2), closed([1]), functools.partial(closed, 1), functools.partial(closed, n=1),
    Call(1), Call(2), Call(1).method, Call(2).method, pathlib.PurePosixPath("a"),
    pathlib.PurePosixPath("b"), Kind.A, Kind.B, b"a", b"b", {"a", "b"}, {"a", "c"}, itself,
    np.array(3.0), np.array(4.0), np.array(["a", None], object), np.array(["b", None], object),
    np.ndarray, list, float("inf"), range(3),
    lambda: (lambda: 1),
    lambda: (lambda: 2),
    recursive(), generator(), object(), Base, Other, Base().method, Other().method,
]
"""


def load(folder, text, name="script"):
    """A module of this text, in a file of its own, so that Python finds the source."""
    path = folder / f"{name}.py"
    path.write_text(text)
    specification = importlib.util.spec_from_file_location("script", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def execute(text):
    """What the text makes, without a source to be found."""
    names = {"__name__": "script"}
    exec(text, names)
    return names


def texts(values):
    return [json.dumps(describe(value)) for value in values]


@pytest.mark.once
def test_descriptions_tell_apart_and_are_the_same_in_each_process(tmp_path):
    values = load(tmp_path, SCRIPT).VALUES
    expected = texts(values), texts(execute(SCRIPT)["VALUES"])
    for found in expected:
        assert len(set(found)) == len(values)
    moved = load(tmp_path, "\n\n" + SCRIPT.replace("return [i", "return [  # of it\n  i"), "moved")
    assert texts(moved.VALUES) == expected[0]
    code = f"""
import json, script
from keras_dcnn.ensemble.training._descriptions import describe
names = {{"__name__": "script"}}
exec({SCRIPT!r}, names)
for values in (script.VALUES, names["VALUES"]):
    print(json.dumps([json.dumps(describe(value)) for value in values]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "KERAS_BACKEND": keras.backend.backend(), "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [json.loads(line) for line in done.stdout.splitlines()[-2:]] == list(expected)


USER = """
import keras
RATE = 0.1

def my_loss(y, p):
    return 1 * keras.losses.sparse_categorical_crossentropy(y, p)

class Metric(keras.metrics.Mean):
    def update_state(self, y, p, sample_weight=None):
        super().update_state(1 * y)

class Scale(keras.layers.Layer):
    def call(self, x):
        return 1 * x

def smooth(amount):
    return lambda y, p: my_loss(y, p) + amount

def make_build(units, loss=my_loss, seed=1):
    def build(activation="relu"):
        layers = [keras.layers.Dense(units, activation), Scale(), keras.layers.Dense(3, "softmax")]
        model = keras.Sequential([keras.Input((4,)), *layers])
        model.compile(keras.optimizers.SGD(RATE), loss, [Metric("m")])
        return model
    return build

def callbacks():
    return [keras.callbacks.EarlyStopping(patience=1)]
"""
CHANGES = {
    "loss": ("1 * keras.losses", "-1 * keras.losses"),
    "metric": ("1 * y", "2 * y"),
    "layer": ("1 * x", "2 * x"),
    "optimizer": ("RATE = 0.1", "RATE = 0.2"),
    "default": ('activation="relu"', 'activation="tanh"'),
    "model": ('"softmax"', '"sigmoid"'),
}


@pytest.mark.parametrize("source", [True, False])
@pytest.mark.parametrize("change", CHANGES)
def test_changes_of_a_model_under_the_same_names_are_seen(tmp_path, change, source):
    first, second = USER, USER.replace(*CHANGES[change])
    models = [
        (vars(load(tmp_path, text, name)) if source else execute(text))["make_build"](2)()
        for text, name in ((first, "first"), (first, "again"), (second, "second"))
    ]
    one, again, other = map(model_text, models)
    assert one == again
    assert one != other


def test_a_loss_counts_with_what_it_closes_over(tmp_path):
    user = load(tmp_path, USER)
    one, again, other = (
        model_text(user.make_build(2, user.smooth(amount))()) for amount in (0.1, 0.1, 0.2)
    )
    assert one == again
    assert one != other


@pytest.mark.once
def test_changes_of_functions_are_seen_and_comments_are_not(tmp_path):
    one = load(tmp_path, USER, "one")
    commented = load(tmp_path, USER.replace("    def build", "    # builds\n    def build"), "two")
    assert describe(one.make_build(2)) == describe(commented.make_build(2))
    assert describe(one.callbacks) == describe(commented.callbacks)
    body = load(tmp_path, USER.replace("(units, activation)", "(units + 1, activation)"), "body")
    default = load(tmp_path, USER.replace('="relu"', '="tanh"'), "default")
    factory = load(tmp_path, USER.replace("patience=1", "patience=2"), "factory")
    for build in (one.make_build(3), body.make_build(2), default.make_build(2)):
        assert describe(build) != describe(one.make_build(2))
    assert describe(factory.callbacks) != describe(one.callbacks)
