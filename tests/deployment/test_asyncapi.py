"""docs/asyncapi.yaml: complete, without loose ends, and right by AsyncAPI's own schema where that can be had."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
import yaml

from freshet.contracts.topic_table import topic_table
from tools.observability.__main__ import ROOT

DOCUMENT: Final[dict[str, Any]] = yaml.safe_load((ROOT / "docs/asyncapi.yaml").read_text())
_CACHE: Final = ROOT / ".local/asyncapi"
_SCHEMA: Final = _CACHE / "node_modules/@asyncapi/specs/schemas/3.0.0.json"


def references(node: object) -> Iterator[str]:
    """Every `$ref` in it."""
    if isinstance(node, dict):
        yield from (value for key, value in node.items() if key == "$ref")
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def found(reference: str) -> object:
    """What a reference leads to; KeyError if nothing."""
    node: Any = DOCUMENT
    for name in reference.removeprefix("#/").split("/"):
        node = node[name]
    return node


def test_every_topic_has_a_channel_and_every_reader_and_writer_an_operation() -> None:
    """By the names that topics.yaml gives."""
    channels = {channel["address"] for channel in DOCUMENT["channels"].values()}
    assert channels == {topic.name.replace("{p}", "{pipeline}") for topic in topic_table().values()}
    operations = sum(len(topic.readers) + len(topic.writers) for topic in topic_table().values())
    assert len(DOCUMENT["operations"]) == operations


def test_every_reference_leads_somewhere() -> None:
    """A tool would stop at one that does not."""
    for reference in references(DOCUMENT):
        assert found(reference)


def test_it_is_what_asyncapi_calls_a_document() -> None:
    """By version 3.0.0 of its schema, which npm's client fetches; a misspelt key or action is refused."""
    schema = json.loads(_fetched().read_text())
    problems = [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(DOCUMENT)]
    assert problems == []


def _fetched() -> Path:
    """AsyncAPI's schema, kept beside the sources; skips where it cannot be had."""
    npm = shutil.which("npm")
    if not _SCHEMA.exists() and npm:
        _CACHE.mkdir(parents=True, exist_ok=True)
        install = [npm, "install", "--prefix", str(_CACHE), "--no-save", "@asyncapi/specs@6.11.1"]
        subprocess.run(install, capture_output=True, check=False, timeout=110)
    if not _SCHEMA.exists():
        pytest.skip("AsyncAPI's schema is not here: npm's client could not fetch @asyncapi/specs.")
    return _SCHEMA
