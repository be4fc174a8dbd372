"""The examples of docs/readers.md, each run as it stands, in an environment with the packages that it names."""

import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Final

import pytest
from typer.testing import CliRunner

from freshet.cli.main import app
from freshet.contracts.topic_table import TopicNames
from freshet.operate.schema_server import SchemaServer
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.publishing import published_schemas
from support.answered import answered_loans
from support.environments import environment

pytestmark = [pytest.mark.kafka, pytest.mark.readers, pytest.mark.timeout(1800)]

ROOT: Final = Path(__file__).parents[2]
ROWS: Final = 2000
EXAMPLE: Final = re.compile(r"```python\n# pip install ([^\n]+)\n(.*?)```", re.DOTALL)
EXAMPLES: Final[dict[str, str]] = dict(EXAMPLE.findall((ROOT / "docs/readers.md").read_text()))
EXPECTED: Final = {
    "duckdb": r"\[\('1\.0\.0', \d+, 0\.\d+\)\]\n\[\('[0-9a-f]{64}',\)\]",
    "evidently": r"DriftedColumnsCount.*\n(ValueDrift.*\n){12}",
    "quixstreams": rf"{{'1\.0\.0': {ROWS}}}",
    "bytewax": rf"\('1\.0\.0', {ROWS}\)",
}
"""What the example of a package prints over the pipeline of this file."""


def tool(packages: str) -> str:
    """The first of these packages, without its version."""
    return re.split(r"\W", packages)[0]


@dataclass(frozen=True)
class Answered:
    """Where the answered pipeline is, and a folder with its exported files."""

    bootstrap_servers: str
    namespace: str
    registry_url: str
    folder: Path


@pytest.fixture(scope="module")
def answered(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answered]:
    """The loans pipeline with answers and labels, its schemas served, its features and labelled log exported."""
    folder, namespace = tmp_path_factory.mktemp("readers"), f"r{token_hex(3)}."
    bus = KafkaBus(kafka, TopicNames(namespace))
    environ = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "FRESHET_NAMESPACE": namespace}
    with answered_loans(kafka, namespace, folder / "logs", ROWS):
        for role, file in {"features": "features.parquet", "outcomes": "labelled.parquet"}.items():
            command = ["topic", "export", "--pipeline", "loans", "--role", role, "--parquet", str(folder / file)]
            assert CliRunner().invoke(app, command, env=environ).exit_code == 0
    with closing(SchemaServer("127.0.0.1", 0, lambda: published_schemas(bus))) as server:
        threading.Thread(target=server.serve, daemon=True).start()
        yield Answered(kafka, namespace, f"http://127.0.0.1:{server.port}", folder)


@pytest.mark.parametrize("packages", EXAMPLES, ids=tool)
def test_an_example_runs_as_it_stands(answered: Answered, packages: str) -> None:
    """Only addresses and names are those of this run. What it prints is what the pipeline did."""
    name = tool(packages)
    here = {"localhost:9092": answered.bootstrap_servers, "http://127.0.0.1:8081": answered.registry_url}
    code = EXAMPLES[packages].replace('"weather.', f'"{answered.namespace}loans.')
    for documented, actual in here.items():
        code = code.replace(documented, actual)
    python = environment(ROOT / ".local/readers" / name, packages.split(), within_s=1500)
    quiet = {"PYTHONWARNINGS": "ignore", "DO_NOT_TRACK": "1"}
    command = [str(python), "-c", code]
    done = subprocess.run(
        command, cwd=answered.folder, capture_output=True, text=True, timeout=300, env=os.environ | quiet, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.search(EXPECTED[name], done.stdout), done.stdout


def test_every_tool_that_is_named_has_an_example() -> None:
    """None is left out of this test because its first line is written otherwise."""
    assert {*map(tool, EXAMPLES)} == {*EXPECTED}
