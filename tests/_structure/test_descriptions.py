"""What tells a run of trainings from another: all that its functions run and use."""

import importlib.util
import json
import os
import re
import subprocess
import sys

import keras
import pytest

from keras_dcnn._structure.descriptions import describe, model_text

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


def lines_of_another_process(folder, code):
    """What code prints in a process of its own, which hashes texts in another way."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "KERAS_BACKEND": keras.backend.backend(), "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.slow
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
from keras_dcnn._structure.descriptions import describe
names = {{"__name__": "script"}}
exec({SCRIPT!r}, names)
for values in (script.VALUES, names["VALUES"]):
    print(json.dumps([json.dumps(describe(value)) for value in values]))
"""
    lines = lines_of_another_process(tmp_path, code)
    assert [json.loads(line) for line in lines[-2:]] == list(expected)


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


USED = """
import functools, types
import keras
import numpy as np
import helpers
FACTOR = 2.0
SETTINGS = {"rate": 0.1, 0: [1, 2], print: "a function as a key"}
TABLE = np.arange(5000.0)
CALLS, COUNTS, TOTAL = [], {}, 0

def inner(x):
    return x + 1

def outer(x):
    return inner(x) if x else build()  # a circle

class Base:
    offset = 3.0
    def method(self, x):
        return 1 * x

class Loss(keras.losses.Loss, Base):
    def __init__(self, scale=4.0):
        super().__init__()
        self.scale = scale
        self._hidden = 5.0
    @property
    def double(self):
        return 6 * self.scale
    @staticmethod
    def still(x):
        return 7 * x
    @functools.cached_property
    def cached(self):
        return 8
    def call(self, y, p):
        return self.method(y)

class Slotted:
    __slots__ = ("value",)
    def __init__(self, value):
        self.value = value
    def __repr__(self):
        return "always the same"

LOSS, SLOTTED, SPACE = Loss(), Slotted(9.0), types.SimpleNamespace(value=10.0)
TEACHER = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="ones")])
NOISE = keras.layers.GaussianNoise(0.25)
PARTIAL = functools.partial(inner, 11)
METHOD = [12].index
outer.attribute = 13
twice = [lambda x: 14 * x, lambda x: 15 * x]

@functools.lru_cache
def cached(x):
    return 16 * x

def build(first=17, *, second=18):
    global TOTAL
    TOTAL += 1
    CALLS.append(1)
    COUNTS["n"] = COUNTS.get("n", 0) + 1
    build.calls = getattr(build, "calls", 0) + 1
    used = FACTOR, SETTINGS, TABLE, LOSS, SLOTTED, SPACE, TEACHER, NOISE, PARTIAL, METHOD
    def local(x):
        return outer(x) + helpers.helping(x) + twice[1](x) + cached(x)
    return used, local
"""
HELPERS = """
LIMIT = 19
def helping(x):
    return x + LIMIT
def not_used(x):
    return 20
"""
CHANGED = [
    *("FACTOR = 2.0", '"rate": 0.1', "[1, 2]", '"a function as a key"', "arange(5000.0)", "x + 1"),
    *("offset = 3.0", "1 * x", "scale=4.0", "_hidden = 5.0", "6 * self", "7 * x", "return 8"),
    *("Slotted(9.0)", "value=10.0", '"ones"', "GaussianNoise(0.25", "inner, 11", "[12]"),
    *("attribute = 13", "14 * x", "15 * x", "16 * x", "first=17", "second=18", "LIMIT = 19"),
    "x + LIMIT",
]


def using(folder, name, text=USED, helpers=HELPERS, source=True):
    module = load(folder, helpers, f"{name}_helpers")
    sys.modules["helpers"] = module
    try:
        return vars(load(folder, text, name)) if source else execute(text)
    finally:
        del sys.modules["helpers"]


def changed(text, part):
    """The text with another number or word in this part."""
    number = re.search(r"\d+(\.\d+)?", part)
    if number is None:
        return text.replace(part, {'"ones"': '"zeros"', "x + LIMIT": "x - LIMIT"}.get(part, '"k"'))
    return text.replace(part, part.replace(number[0], f"{number[0]}1", 1), 1)


@pytest.mark.once
@pytest.mark.parametrize("source", [True, False])
def test_all_that_a_function_uses_counts_and_nothing_else(tmp_path, source):
    build = using(tmp_path, "first", source=source)["build"]
    expected = describe(build)
    build(), build()  # which counts its calls
    assert describe(build) == expected
    lines = "\n# a line\n" + USED.replace(
        "    used = FACTOR", "    # a comment\n\n    used = FACTOR"
    )
    for text, helpers in ((USED, HELPERS), (lines, HELPERS.replace("20", "21"))):
        same = using(tmp_path, f"same{len(text)}", text, helpers, source)
        assert describe(same["build"]) == expected
    for i, part in enumerate(CHANGED):
        texts = changed(USED, part), changed(HELPERS, part)
        assert texts != (USED, HELPERS)
        other = using(tmp_path, f"other{i}", *texts, source)
        assert describe(other["build"]) != expected, part


@pytest.mark.slow
@pytest.mark.once
def test_what_a_function_uses_is_the_same_in_each_process(tmp_path):
    expected = describe(using(tmp_path, "script")["build"])
    (tmp_path / "helpers.py").write_text(HELPERS)
    code = """
import script
from keras_dcnn._structure.descriptions import describe
print("found:", describe(script.build))
"""
    assert f"found: {expected}" in lines_of_another_process(tmp_path, code)


@pytest.mark.once
def test_a_module_that_was_loaded_anew_counts_as_it_is_now(tmp_path):
    """Not its file, which may have changed since."""
    user = load(tmp_path, USER)
    before = describe(user.my_loss)
    (tmp_path / "script.py").write_text(USER.replace("1 * keras.losses", "-1 * keras.losses"))
    assert describe(user.my_loss) == before
    user.__spec__.loader.exec_module(user)
    assert describe(user.my_loss) != before


@pytest.mark.once
def test_seeds_and_names_that_keras_draws_do_not_count():
    def uses(thing):
        return lambda: thing

    assert describe(uses(keras.layers.RandomFlip())) == describe(uses(keras.layers.RandomFlip()))
    first, second = keras.losses.Huber(), keras.losses.Huber()
    assert describe(uses(first)) == describe(uses(second))
    assert describe(uses(first)) != describe(uses(keras.losses.Huber(2.0)))
    generators = keras.random.SeedGenerator(), keras.random.SeedGenerator()
    assert describe(uses(generators[0])) == describe(uses(generators[1]))
    assert describe(keras.layers.InputSpec(shape=(2, 3))) == describe(
        keras.layers.InputSpec(shape=(2, 3))
    )
