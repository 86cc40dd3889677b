"""Rules of the house that a reader of the code or of the docstrings relies on."""

import ast
import doctest
import inspect
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from public import namespaces, public_objects

import keras_dcnn

PACKAGE = Path(keras_dcnn.__file__).parent
ROOT = PACKAGE.parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
OPTIONAL = {"tensorflow", "jax", "torch", "keras_cv", "sklearn", "matplotlib", "joblib", "PIL"}
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
    (example,) = re.findall(r"^```python\n(.*?)^```", doc, re.M | re.S)
    exec(compile(textwrap.dedent(example), name, "exec"), {})


def test_readme_examples_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for example in re.findall(
        r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S
    ):
        exec(compile(example, "README.md", "exec"), {})


def test_readme_has_no_placeholder():
    text = re.sub(r"`[^`]*`", "", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert not re.search(r"[A-Z]{3,}_[A-Z]{3,}|TODO", text)


def test_readme_names_every_public_part():
    readme = (ROOT / "README.md").read_text()
    missing = [
        n for n in public_objects() if n.removesuffix(".load_data").split(".")[1] not in readme
    ]
    assert not missing


def test_no_doctest_prompts():
    """Examples are fenced code, which is run; prompts would escape that."""
    for part in public_objects().values():
        assert not doctest.DocTestParser().get_examples(inspect.getdoc(part))


def run_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )


def test_legacy_keras_is_refused_in_one_sentence():
    done = run_python("import keras_dcnn", TF_USE_LEGACY_KERAS="1")
    last = done.stderr.strip().splitlines()[-1]
    assert last == (
        "ImportError: keras_dcnn needs Keras 3, but TF_USE_LEGACY_KERAS makes tf.keras Keras 2: "
        "unset TF_USE_LEGACY_KERAS before Python starts."
    )


def test_imports_without_the_optional_packages_and_without_other_backends(backend):
    optional = sorted(OPTIONAL - {backend})
    code = f"""
import sys
for name in {optional}:
    sys.modules[name] = None  # an import of it would fail
import keras_dcnn, keras
assert keras_dcnn.layers.RReLU()(keras.ops.ones((2, 3))).shape == (2, 3)
for use, extra in ((keras_dcnn.datasets.photo_digits.load_data, "demo"),
                   (lambda: keras_dcnn.visualization.plot_loss({{"loss": [1.0]}}), "plot")):
    try:
        use()
    except ImportError as error:
        assert f'pip install "keras_dcnn[{{extra}}]"' in str(error), error
    else:
        raise SystemExit("no ImportError")
"""
    done = run_python(code, KERAS_BACKEND=backend)
    assert done.returncode == 0, done.stderr[-2000:]
