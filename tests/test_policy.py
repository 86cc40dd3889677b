"""Rules of the house that a reader of the code, the docstrings or the tests relies on."""

import ast
import doctest
import inspect
import re
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest
from public import OPTIONAL, namespaces, public_objects

import keras_dcnn

PACKAGE = Path(keras_dcnn.__file__).parent
ROOT = PACKAGE.parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"^```python\n(.*?)^```", re.M | re.S)
README_EXAMPLES = EXAMPLE.findall(README)
pytestmark = pytest.mark.once
# Rooms, from the ground up: one imports only from lower floors, and from itself.
FLOORS = (
    {"_version", "_checks", "_progress", "_random"},
    {"_keras"},
    {"_state", "_reading"},
    {"_structure", "_files", "_images"},
    {"constraints", "initializers", "regularizers", "statistics"}
    | {"layers", "losses", "models", "datasets"},
    {"diagnosis", "ensemble", "imbalance"},
    {"callbacks"},
    {"fine_tuning"},
    {"visualization"},
    {"recipes"},
    {"_command"},
)
# The same within the ensembles.
ENSEMBLE = (
    {"judging"},
    {"combining"},
    {"averaging", "fusing", "training"},
    {"ensemble_comparison", "compare_ensembles"},
)
ROOT_FILES = {"__init__.py", "_checks.py", "_progress.py", "_version.py"}
# What NamedTuple has that begins with an underscore and is public.
OF_TUPLES = {"_asdict", "_fields", "_replace"}


def imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node, node.module
            yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)


def floor(floors, parts):
    """The floor of a file or an imported name, by the part of its path that is a room."""
    room = parts[0].removesuffix(".py") if parts else ""
    return next((number for number, rooms in enumerate(floors) if room in rooms), None)


def assert_not_upward(floors, here, there):
    below, above = floor(floors, here), floor(floors, there)
    if None not in (below, above) and here[0].removesuffix(".py") != there[0]:
        assert above <= below, f"{here[0]} imports upward from {there[0]}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    here = path.relative_to(PACKAGE).parts
    for node, name in imports(tree):
        if node in tree.body:
            assert name.split(".")[0] not in OPTIONAL, "optional parts are imported where used"
        if here[0] != "_keras":
            assert not name.startswith("keras.src"), "private Keras only in _keras/"
        if name.startswith("keras_dcnn."):
            there = name.split(".")[1:]
            assert_not_upward(FLOORS, here, there)
            if here[0] == there[0] == "ensemble":
                assert_not_upward(ENSEMBLE, here[1:], there[1:])


def private_of_others(tree):
    """The attributes with one leading underscore that are of no class or module of this file."""
    own = {
        node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    }
    of_others = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and re.match("_[a-z]", node.attr):
            of_self = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            (own.add if of_self else of_others.append)(node.attr)
    return [name for name in of_others if name not in own | OF_TUPLES]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_what_is_private_in_frameworks_is_touched_in_one_room(path):
    if path.parent.name != "_keras":
        assert private_of_others(ast.parse(path.read_text(encoding="utf-8"))) == []


def test_rooms():
    """No file lies in the root, each room says what may live there, and none is without a floor."""
    assert {path.name for path in PACKAGE.glob("*.py")} <= ROOT_FILES
    rooms = {path.parent for path in SOURCES} - {PACKAGE}
    for room in rooms:
        assert ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8")))
        assert floor(FLOORS, room.relative_to(PACKAGE).parts) is not None


def test_namespaces_list_what_they_have():
    assert set(namespaces()) <= set.union(*FLOORS)
    for name, module in namespaces().items():
        assert len(set(module.__all__)) == len(module.__all__)
        public = {n for n, v in vars(module).items() if inspect.isclass(v) or inspect.isfunction(v)}
        assert public <= set(module.__all__), name


@pytest.mark.parametrize("name", public_objects())
def test_docstring(name):
    """One-line summary, every argument of the signature and no other, an example, a source."""
    part = public_objects()[name]
    doc = inspect.getdoc(part)
    summary = doc.split("\n\n")[0]
    assert summary.endswith(".")
    assert "\n" not in summary
    assert re.search(r"^Reference:\n(    .*\n?)*.*https?://", doc, re.M)
    section = re.search(r"^Args:\n((?:    .*\n|\n)*)", doc, re.M)
    documented = re.findall(r"^    (\**\w+):", section.group(1), re.M) if section else []
    signature = [
        "**" + p.name if p.kind is p.VAR_KEYWORD else p.name
        for p in inspect.signature(part).parameters.values()
    ]
    assert documented == signature


def unannotated(part):
    """What of the signatures of a function, or of a class's own public methods, has no type."""
    functions = [part]
    if inspect.isclass(part):
        public = {n: v for n, v in vars(part).items() if n == "__init__" or not n.startswith("_")}
        functions = [getattr(v, "__func__", getattr(v, "fget", v)) for v in public.values()]
    found = []
    for function in filter(inspect.isfunction, functions):
        signature = inspect.signature(function)
        kinds = {
            n: p.annotation for n, p in signature.parameters.items() if n not in ("self", "cls")
        }
        kinds["return"] = signature.return_annotation
        found += [
            f"{function.__name__}: {n}" for n, kind in kinds.items() if kind is signature.empty
        ]
    return found


@pytest.mark.parametrize("name", public_objects())
def test_public_signatures_are_annotated(name):
    assert unannotated(public_objects()[name]) == []


@pytest.mark.parametrize("name", public_objects())
def test_docstring_example_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    doc = inspect.getdoc(public_objects()[name])
    (example,) = EXAMPLE.findall(doc)
    assert "keras_dcnn" in example
    exec(compile(textwrap.dedent(example), name, "exec"), {})


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(README_EXAMPLES)))
def test_readme_example_runs(number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, grey in (("cats", 40), ("dogs", 200)):  # the folder that one of them reads
        for i in range(8):
            (tmp_path / "photos" / name).mkdir(parents=True, exist_ok=True)
            image = np.full((40, 40, 3), grey + i)
            keras.utils.save_img(tmp_path / "photos" / name / f"{i}.png", image, scale=False)
    (tmp_path / "new").mkdir()  # and what it predicts
    for i in (1, 2):
        keras.utils.save_img(tmp_path / "new" / f"{i}.jpg", np.full((9, 9, 3), 99), scale=False)
    names = {}
    exec(compile(README_EXAMPLES[number], "README.md", "exec"), names)
    assert "keras_dcnn" in names


def test_readme_has_no_placeholder():
    text = re.sub(r"`[^`]*`|\]\([^)]*\)", "", README)  # neither code nor where a link leads
    assert not re.search(r"[A-Z]{3,}_[A-Z]{3,}|TODO", text)


def test_readme_names_every_public_part():
    """As code: a word of its own in backticks or in an example, not part of a sentence."""
    code = re.findall(r"```.*?```|`[^`]+`", README, re.S)
    words = set(re.findall(r"\w+", " ".join(code)))
    names = {name.removesuffix(".load_data").split(".")[1] for name in public_objects()}
    assert names - words == set()


def test_no_doctest_prompts():
    """Examples are fenced code, which is run; prompts would escape that."""
    for part in public_objects().values():
        assert not doctest.DocTestParser().get_examples(inspect.getdoc(part))


ASSERTS = ("assert", "raises", "warns", "fail")


def calls(function):
    """The names of what a function calls, of methods the last part."""
    called = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    return {getattr(node, "attr", getattr(node, "id", "")) for node in called}


def unasserted(paths):
    """Those that neither assert nor call a function of their file, or a shared one, that does."""
    found, sure, tests = {}, set(), []
    for path in paths:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        tests += [(path.name, one.name) for one in functions if one.name.startswith("test_")]
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                found[path.name, node.name] = names = calls(node)
                asserts = any(isinstance(part, ast.Assert) for part in ast.walk(node))
                if asserts or any(name.startswith(ASSERTS) for name in names):
                    sure.add((path.name, node.name))
    shared = {name: file for file, name in found if not file.startswith("test_")}
    count = -1
    while count < len(sure):
        count = len(sure)
        for (file, name), names in found.items():
            places = {(file if (file, one) in found else shared.get(one), one) for one in names}
            if places & sure:
                sure.add((file, name))
    return [f"{file}::{name}" for file, name in tests if (file, name) not in sure]


def test_every_test_can_fail():
    assert unasserted(TESTS) == []


def test_a_test_that_can_not_fail_is_found(tmp_path):
    (tmp_path / "test_some.py").write_text(
        "def check(x):\n    assert x\n"
        "def through(x):\n    check(x)\n"
        "def test_asserts():\n    through(1)\n"
        "def test_raises():\n    with pytest.raises(ValueError):\n        f()\n"
        "def test_runs():\n    f(1)\n"
    )
    assert unasserted([tmp_path / "test_some.py"]) == ["test_some.py::test_runs"]
