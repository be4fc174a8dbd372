"""The recipe of an event schema's id, in each language that docs/clients.md shows it in."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fastavro.schema import to_parsing_canonical_form

from freshet.avro.own_schemas import event_schema_id
from support.ingestion import SCHEMA

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "docs/clients.md"


@pytest.mark.parametrize(
    ("tool", "arguments", "file"),
    [
        (sys.executable, [], "id.py"),
        ("node", [], "id.js"),
        ("java", [], "Id.java"),
        pytest.param("go", ["run"], "id.go", marks=pytest.mark.slow),  # it compiles its own library first
    ],
)
def test_every_language_computes_the_same_id(tool: str, arguments: list[str], file: str, tmp_path: Path) -> None:
    """The program is the one in the document, and gives what `freshet apply` prints."""
    script = HERE / "schema_id" / file
    assert script.read_text() in DOCUMENT.read_text()
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    done = subprocess.run(
        [tool, *arguments, str(script)],
        input=to_parsing_canonical_form(dict(SCHEMA)).encode(),
        capture_output=True,
        check=True,
        env={**os.environ, "GOCACHE": str(tmp_path), "GO111MODULE": "off"},
    )
    assert int(done.stdout) == event_schema_id(SCHEMA)


def test_the_vector_in_the_document_is_right() -> None:
    """Canonical form and id of the shipped example, as the document prints them."""
    text = DOCUMENT.read_text()
    assert to_parsing_canonical_form(dict(SCHEMA)) in text
    assert str(event_schema_id(SCHEMA)) in text
