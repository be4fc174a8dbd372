"""Runs a notebook file as its kernel would: the code cells in order, in one namespace; nothing is written."""

import json
from pathlib import Path
from typing import Any


def run_notebook(path: Path) -> dict[str, Any]:
    """The names that the notebook leaves behind. An error names the cell and its line."""
    names: dict[str, Any] = {}
    for cell in cells_of(path):
        exec(compile("".join(cell["source"]), f"{path.name}, {cell['id']}", "exec"), names)
    return names


def cells_of(path: Path) -> list[dict[str, Any]]:
    """The code cells of a notebook file."""
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
