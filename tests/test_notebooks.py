"""The notebooks run from top to bottom, and are committed with their outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = [pytest.mark.slow, pytest.mark.once]
NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


def outputs(notebook):
    return [o for cell in notebook.cells for o in cell.get("outputs", [])]


def figures(notebook):
    return [o for o in outputs(notebook) if "image/png" in o.get("data", {})]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook(path, tmp_path, monkeypatch):
    monkeypatch.delenv("MPLBACKEND")  # the kernel has its own
    monkeypatch.setenv("KERAS_DCNN_QUICK", "1")  # 04_training: small sizes
    committed = nbformat.read(path, as_version=4)
    cells = [cell for cell in committed.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    fresh = nbformat.read(path, as_version=4)
    NotebookClient(fresh, timeout=600, resources={"metadata": {"path": tmp_path}}).execute()
    assert len(figures(fresh)) == len(figures(committed)) > 0
    for notebook in (fresh, committed):
        assert not any(output.output_type == "error" for output in outputs(notebook))
