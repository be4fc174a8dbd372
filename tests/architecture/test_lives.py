"""The pages `docs/life-of-….md` name what is there; the glossary knows each public class."""

import ast
import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
HOP: Final = re.compile(r"^\| (\d+) \| `([^`]+)` \| `([^`]+)` \| .+ \|$", re.MULTILINE)
LIVES: Final = {"life-of-an-event.md": 22, "life-of-a-model.md": 23, "life-of-a-lesson.md": 21}

PARTS: Final = {"decoders", "policies"}
"""A part is one file: its docstring says what it is, and pipelines know it by its kind."""
CORES: Final = sorted(
    path
    for path in [*(ROOT / "services/freshet").glob("*/core/**/*.py"), *(ROOT / "libs/freshet/ledger").rglob("*.py")]
    if path.parent.name not in PARTS
)


def defined(path: Path) -> set[str]:
    """Functions by name, and methods as `Class.method`."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{part.name}" for part in node.body if isinstance(part, ast.FunctionDef)}
    return found


@pytest.mark.parametrize(("document", "hops"), LIVES.items())
def test_every_hop_of_a_life_is_a_function_that_is_there(document: str, hops: int) -> None:
    """File and function of each row exist, and rows count up from 1."""
    rows = HOP.findall((ROOT / "docs" / document).read_text())
    assert [int(number) for number, _, _ in rows] == [*range(1, hops + 1)]
    missing = [
        f"{file}: {function}"
        for _, file, function in rows
        if not (ROOT / file).is_file() or function not in defined(ROOT / file)
    ]
    assert missing == []


def test_each_public_class_of_a_core_and_of_the_ledger_stands_in_the_glossary() -> None:
    """One word, one meaning: whoever meets the class in the code finds what it is."""
    assert CORES
    known = set(re.findall(r"`(\w+)`", (ROOT / "docs/glossary.md").read_text()))
    classes = {
        node.name: path.relative_to(ROOT)
        for path in CORES
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    }
    assert [f"{name} ({path})" for name, path in classes.items() if name not in known] == []
