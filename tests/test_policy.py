"""Rules of the house that a reader of the code, the docstrings or the tests relies on."""

import ast
import doctest
import inspect
import re
import textwrap
from pathlib import Path

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
# A namespace imports from those before it.
ORDER = [
    "constraints",
    "initializers",
    "regularizers",
    "statistics",
    "layers",
    "models",
    "datasets",
    "diagnosis",
    "ensemble",
    "callbacks",
    "visualization",
]


def imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node, node.module
            yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    here = path.relative_to(PACKAGE).parts[0]
    for node, name in imports(tree):
        if node in tree.body:
            assert name.split(".")[0] not in OPTIONAL, "optional parts are imported where used"
        if path.name != "_keras.py":
            assert not name.startswith("keras.src"), "private Keras only through _keras.py"
        other = name.removeprefix("keras_dcnn.").split(".")[0]
        assert other != "cli", "nothing imports the command"
        if here in ORDER and name.startswith("keras_dcnn.") and other in ORDER:
            assert ORDER.index(other) <= ORDER.index(here), f"{here} imports upward from {other}"


def test_namespaces_list_what_they_have():
    assert set(ORDER) == set(namespaces())
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
    assert re.search(r"^Raises:\n", doc, re.M)
    section = re.search(r"^Args:\n((?:    .*\n|\n)*)", doc, re.M)
    documented = re.findall(r"^    (\**\w+):", section.group(1), re.M) if section else []
    signature = [
        "**" + p.name if p.kind is p.VAR_KEYWORD else p.name
        for p in inspect.signature(part).parameters.values()
    ]
    assert documented == signature


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
    names = {}
    exec(compile(README_EXAMPLES[number], "README.md", "exec"), names)
    assert "keras_dcnn" in names


def test_readme_has_no_placeholder():
    text = re.sub(r"`[^`]*`", "", README)
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
    found, sure = {}, set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
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
    tests = [place for place in found if place[1].startswith("test_")]
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
