"""The tutorial runs from its first cell to its last, in Jupyter's own kernel."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]


def test_every_cell_runs(tmp_path, monkeypatch):
    # The kernel is another process: it imports this checkout, and leaves the home directory alone.
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook = nbformat.read(ROOT / "docs" / "tutorial.ipynb", as_version=4)
    work = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=None, kernel_name="python3", resources=work).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    printed = "".join(output.get("text", "") for output in outputs)
    executed = next(line for line in printed.splitlines() if "MACs per image; counted: " in line)
    macs, counted = executed.split(" MACs per image; counted: ")
    assert macs == counted
