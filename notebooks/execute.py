"""Execute every notebook here and keep its outputs, but for what backends log as they start."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient


def drop_stderr(notebook):
    """Take the stderr streams out of the outputs: warnings of C++ code, not results."""
    for cell in notebook.cells:
        cell.get("outputs", [])[:] = [
            output for output in cell.get("outputs", []) if output.get("name") != "stderr"
        ]


if __name__ == "__main__":
    for path in sorted(Path(__file__).parent.glob("*.ipynb")):
        print(f"executing {path.name}", flush=True)
        notebook = nbformat.read(path, as_version=4)
        NotebookClient(notebook, timeout=1800, coalesce_streams=True).execute()
        drop_stderr(notebook)
        nbformat.write(notebook, path)
