"""The notebook runs from top to bottom, shows its results, and is stored without outputs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebooks" / "first-steps.ipynb"
CELLS: list[dict[str, Any]] = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
RUNNER = """
import ast, json, sys

names = {"__name__": "__main__"}
for source in json.load(sys.stdin):
    *body, last = ast.parse(source).body
    if not isinstance(last, ast.Expr):
        body, last = [*body, last], None
    exec(compile(ast.Module(body, []), "cell", "exec"), names)
    value = eval(compile(ast.Expression(last.value), "cell", "eval"), names) if last else None
    if value is not None:  # as Jupyter shows it: a picture by its PNG, anything else by its repr
        shown = getattr(value, "_repr_png_", None)
        print("PICTURE" if shown and shown()[:4] == b"\\x89PNG" else repr(value))
"""
"""Runs the cells of a notebook as Jupyter would, in one namespace, without needing Jupyter."""


def sources() -> list[str]:
    """Return the code of every cell."""
    return ["".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code"]


def test_stored_without_outputs() -> None:
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in CELLS if "outputs" in cell)


@pytest.mark.long
def test_runs_and_shows_its_pictures(tmp_path: Path) -> None:
    call = [sys.executable, "-c", RUNNER]
    cells = json.dumps(sources())
    ended = subprocess.run(call, cwd=tmp_path, input=cells, capture_output=True, text=True, timeout=900)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines.count("PICTURE") == 5  # photographs, faces, curves, confusion matrix, heat maps
    (accuracy,) = [line for line in lines if line.startswith("accuracy")]
    assert float(accuracy.split()[1].rstrip("%")) > 50  # chance is 14
