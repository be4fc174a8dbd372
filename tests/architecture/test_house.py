"""The house rules that a machine can check: who may import what, how long things are, what a core may not do."""

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from freshet.runtime.service import EdgeService, load_service

ROOT: Final = Path(__file__).parents[2]
SOURCES: Final = sorted(path for room in ("libs", "services", "tools") for path in (ROOT / room).rglob("*.py"))
CORES: Final = [
    path
    for path in SOURCES
    if "core" in path.parts
    or any(
        path.is_relative_to(ROOT / "libs/freshet" / room)
        for room in ("contracts", "avro", "features", "pipeline", "ledger")
    )
]
LINES_OF_A_FILE: Final = 300
LINES_OF_A_FUNCTION: Final = 70

ROOM: Final = re.compile(r"\bfreshet\.(\w+)")

Function = ast.FunctionDef | ast.AsyncFunctionDef

AMBIENT_MODULES: Final = frozenset(
    {
        "asyncio",
        "logging",
        "multiprocessing",
        "random",
        "secrets",
        "socket",
        "structlog",
        "subprocess",
        "threading",
        "time",
    }
)
"""What would bring time, chance or the outside world into a core."""
AMBIENT_CALLS: Final = frozenset(
    {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "input", "print"}
    | {"uuid.uuid1", "uuid.uuid4", "uuid1", "uuid4", "os.environ", "os.getenv", "os.urandom", "np.random"}
)


@cache
def tree(path: Path) -> ast.Module:
    """The file, parsed."""
    return ast.parse(path.read_text())


def name_of(path: Path) -> str:
    """The path as people say it."""
    return str(path.relative_to(ROOT))


def imports(path: Path) -> Iterator[str]:
    """Every module that the file imports, anywhere in it."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize(
    ("package", "room"),
    [
        ("aiokafka", "services/freshet/drift/faust"),
        ("confluent_kafka", "libs/freshet/runtime/bus/kafka"),
        ("faust", "services/freshet/drift/faust"),
        ("onnxruntime", "libs/freshet/models"),
    ],
)
def test_a_client_library_is_known_in_one_room(package: str, room: str) -> None:
    """Elsewhere its types and errors would leak: replacing or upgrading it stays a change in one place."""
    importers = {path for path in SOURCES if any(name.split(".")[0] == package for name in imports(path))}
    assert importers, f"nobody imports {package}: this check looks at the wrong files"
    assert {name_of(path) for path in importers if not path.is_relative_to(ROOT / room)} == set()


def test_contracts_name_no_room() -> None:
    """They are what all rooms agree on: none of them is meant by a path in a string or a docstring either."""
    rooms = {path.name for folder in ("libs", "services") for path in (ROOT / folder / "freshet").iterdir()}
    contracts = [path for path in SOURCES if path.parent == ROOT / "libs/freshet/contracts"]
    assert contracts
    named = {
        f"{name_of(path)}: {name}" for path in contracts for name in ROOM.findall(path.read_text()) if name in rooms
    }
    assert {text for text in named if not text.endswith(": contracts")} == set()


def test_every_room_has_its_floor() -> None:
    """A folder of `libs` that the layers leave out could import anything."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    floors = [floor for contract in contracts for floor in contract.get("layers", ())]
    rooms = {path.name for path in (ROOT / "libs/freshet").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert {room for floor in floors for room in floor.split(" | ")} == rooms


def test_every_room_is_typed_for_who_imports_it() -> None:
    """PEP 561: without its `py.typed` a room's types are not seen by a user's checker."""
    rooms = {path.parent for path in SOURCES if path.name == "__init__.py" and path.parent.parent.name == "freshet"}
    assert len(rooms) > 20, "this check looks at the wrong folders"
    assert sorted(room.name for room in rooms if not (room / "py.typed").exists()) == []


def test_services_stand_on_their_floor_wherever_they_are_found() -> None:
    """No list names them: one knows no other and none of the rooms above, and only those rooms know it.

    An edge service stands where a user's own program does, so it may use the client.
    """
    folder, above = ROOT / "services/freshet", ("testing", "cli", "client", "lab")
    services = {path.parent.name for path in folder.glob("*/service.py")}
    assert services
    client = {service: {"client"} for service in services if isinstance(load_service(service), EdgeService)}
    forbidden = {service: {*above, *services} - {service} - client.get(service, set()) for service in services}
    found = [
        f"{name_of(path)}: import {name}"
        for path in SOURCES
        for name in imports(path)
        if name.startswith("freshet.")
        and (room := path.relative_to(ROOT).parts[2]) not in above
        and name.split(".")[1] in forbidden.get(room, services)
    ]
    assert found == []


def test_files_and_functions_can_be_taken_in() -> None:
    """A file is read in one sitting, a function on one screen."""
    long = [f"{name_of(path)}: {lines} lines" for path in SOURCES if (lines := _lines(path)) > LINES_OF_A_FILE]
    long += [
        f"{name_of(path)}:{node.lineno} {node.name}: {lines} lines"
        for path in SOURCES
        for node in ast.walk(tree(path))
        if isinstance(node, Function) and (lines := (node.end_lineno or 0) - node.lineno + 1) > LINES_OF_A_FUNCTION
    ]
    assert long == []


def test_everything_public_says_what_it_is_for() -> None:
    """Modules, classes and functions; a method's contract may stand in its class or its protocol."""
    silent = [name_of(path) for path in SOURCES if ast.get_docstring(tree(path)) is None]
    silent += [
        f"{name_of(path)}:{node.lineno} {node.name}"
        for path in SOURCES
        for node in tree(path).body
        if isinstance(node, ast.ClassDef | Function)
        and not node.name.startswith("_")
        and ast.get_docstring(node) is None
    ]
    assert silent == []


def test_cores_are_deterministic() -> None:
    """Time, chance, ids and the outside world come in as values: the same batches always give the same effects."""
    assert CORES
    found = [
        f"{name_of(path)}: import {name}"
        for path in CORES
        for name in imports(path)
        if name.split(".")[0] in AMBIENT_MODULES
    ]
    found += [
        f"{name_of(path)}:{node.lineno} {ast.unparse(node)}"
        for path in CORES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute | ast.Name) and _is_ambient(ast.unparse(node))
    ]
    assert found == []


def test_a_lock_file_records_no_download_address() -> None:
    """A pinned hash says which file; where to get it is the business of whoever installs."""
    locks = [path for path in [*ROOT.glob("*.lock"), *ROOT.glob("docker/**/*.lock")] if path.is_file()]
    assert locks
    for lock in locks:
        text = lock.read_text()
        assert "://" not in text, f"{lock} names an address"
        assert "--hash=sha256:" in text, f"{lock.name} is not pinned by hash"


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def _is_ambient(expression: str) -> bool:
    return any(expression == call or expression.endswith(f".{call}") for call in AMBIENT_CALLS)


NAMED_TWICE: Final = frozenset({"service", "logic"})
"""What each service has by the same name."""


def test_a_module_name_stands_once() -> None:
    """Whoever reads a name in a stack trace, a tab or a search knows which file is meant."""
    modules = Counter(path.stem for path in SOURCES if not path.stem.startswith("__"))
    assert [name for name, times in sorted(modules.items()) if times > 1 and name not in NAMED_TWICE] == []
