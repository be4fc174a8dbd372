"""CSV files as events of a pipeline."""

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest

from freshet.avro import Nullable, Strings
from freshet.avro.own_schemas import Schema
from freshet.contracts.errors import ContractError
from freshet.operate.event_values import event_encoder
from freshet.operate.operate_error import OperateError
from freshet.operate.tables.table import Table
from freshet.operate.tables.table_events import CsvEvents
from freshet.pipeline import PipelineSpec, check

SCHEMA: Schema = {
    "type": "record",
    "name": "Reading",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "device", "type": "long"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "heat", "type": ["null", "double"]},
        {"name": "on", "type": "boolean", "default": True},
        {"name": "mode", "type": {"type": "enum", "name": "Mode", "symbols": ["LOW", "HIGH"]}},
    ],
}
SPEC = PipelineSpec.parse("""
pipeline: heat
entity: device
event_id: id
event_time: at
features: {version: 1, columns: [{kind: field, of: heat}]}
target: {classes: [cold, warm]}
""")


def events(folder: Path, text: str, label: str | None = None) -> CsvEvents:
    path = folder / "readings.csv"
    path.write_text(text)
    return CsvEvents(path, SPEC, SCHEMA, label=label, entities=3)


def test_cells_become_values_of_their_fields_types(tmp_path: Path) -> None:
    """Numbers, empty cells of nullable fields, enums, booleans and times arrive as the schema has them."""
    found = events(tmp_path, "mode,heat,at,on\nHIGH,1.5,2026-05-01T12:00:00Z,false\nLOW,,1000,1\n")
    (some,) = found
    heat = some.columns["heat"]
    assert isinstance(heat, Nullable)
    assert heat.valid.tolist() == [True, False]
    assert np.asarray(some.columns["at"]).tolist() == [1_777_636_800_000_000, 1_000_000]
    assert np.asarray(some.columns["on"]).tolist() == [False, True]
    assert len(event_encoder(SPEC, SCHEMA, 1)(some.columns)) == 2


def test_ids_and_entities_are_filled_in_the_same_way_each_time(tmp_path: Path) -> None:
    """A file replayed twice gives the same ids, all different; entities take turns; times are left to the sender."""
    found = events(tmp_path, "mode\n" + "LOW\n" * 1500)
    first, again = list(found), list(found)
    ids = [text for part in first for text in _texts(part.columns["id"])]
    assert ids == [text for part in again for text in _texts(part.columns["id"])]
    assert len(set(ids)) == 1500
    assert np.concatenate([np.asarray(part.columns["device"]) for part in first]).tolist() == [0, 1, 2] * 500
    assert "at" not in first[0].columns
    assert [len(part) for part in first] == [1000, 500]


def test_an_unmatched_field_is_refused_with_what_was_found(tmp_path: Path) -> None:
    """The message names the missing field and the file's columns that nobody reads, so that one can be renamed."""
    with pytest.raises(OperateError, match=r"has no column mode, .*named after: Mode, extra"):
        events(tmp_path, "Mode,extra,heat\nLOW,1,2\n")


@pytest.mark.parametrize(
    ("name", "where"),
    [("t.csv", "in the file's first line"), ("t.jsonl", "in every line's object"), ("t.parquet", "the Parquet file")],
)
def test_columns_are_to_be_renamed_where_the_file_has_their_names(tmp_path: Path, name: str, where: str) -> None:
    """Only CSV names them in a first line."""
    path = tmp_path / name
    if name == "t.parquet":
        arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(arrow.table({"Mode": ["LOW"]}), path)
    else:
        path.write_text("Mode\nLOW\n" if name == "t.csv" else '{"Mode": "LOW"}\n')
    with pytest.raises(OperateError, match=f"Rename columns .*{where}"):
        CsvEvents(path, SPEC, SCHEMA)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("mode,heat\nLOW,1\nLOW,warm\n", r":3: column 'heat' holds 'warm', which is not a number"),
        ("mode,heat\nMIDDLE,1\n", r":2: column 'mode' holds 'MIDDLE', none of LOW, HIGH"),
        ("mode,heat\nLOW\n", r":2: there are 1 cells, but 2 columns"),
        ("mode,y\nLOW,hot\n", r":2: label 'hot' is none of the pipeline's classes cold, warm"),
    ],
)
def test_a_bad_cell_is_named_by_its_line(tmp_path: Path, text: str, complaint: str) -> None:
    """Before the first event is made, each bad cell is named with line, column and value, and counted."""
    good = "HIGH,1" + ",cold" * text.startswith("mode,y") + "\n"
    found = events(tmp_path, text + (good if "heat" in text else "HIGH,cold\n"), label="y" if ",y" in text else None)
    (named,) = found.survey.named
    assert re.search(complaint, named)
    assert found.survey.left_out + found.survey.unlabelled == 1
    assert sum(map(len, found)) == found.survey.rows


def test_a_table_of_which_nothing_can_be_read_is_refused(tmp_path: Path) -> None:
    """Leaving out everything would be no answer: the reasons are the error."""
    with pytest.raises(ContractError, match=r":2: column 'heat'.*\n.*no row"):
        events(tmp_path, "mode,heat\nLOW,warm\n")


def test_gzip_is_read_and_a_broken_file_is_an_error_of_ours(tmp_path: Path) -> None:
    """A .gz gives the same events as its text; one cut off in the middle says which file it is."""
    plain = "mode,heat\n" + "LOW,1.25\n" * 3000
    path = tmp_path / "readings.csv.gz"
    path.write_bytes(gzip.compress(plain.encode()))
    assert sum(len(part) for part in CsvEvents(path, SPEC, SCHEMA)) == 3000
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ContractError, match=r"readings\.csv\.gz cannot be read as CSV"):
        list(CsvEvents(path, SPEC, SCHEMA))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("huge-cell.csv", b"a,b\n1," + b"x" * 200_000),
        ("old-macintosh.csv", b"a,b\r1,2\r"),
        ("deep.jsonl", b'{"a":' + b"[" * 100_000),
        ("half-a-sign.jsonl", b'{"a": "\\ud800"}'),
        ("half-a-sign-in-a-title.jsonl", b'{"\\uDC00": 1}'),
    ],
)
def test_whatever_a_table_holds_the_error_is_ours(tmp_path: Path, name: str, content: bytes) -> None:
    """It names the file, and no bug of Freshet's."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ContractError, match=name):
        list(Table(tmp_path / name))


def test_a_table_in_utf_32_is_no_utf_16(tmp_path: Path) -> None:
    """Its mark begins as the other's does."""
    (tmp_path / "t.csv").write_text("a,b\n1,2\n", encoding="utf-32")
    assert Table(tmp_path / "t.csv").titles == ["a", "b"]


def test_the_specifications_of_these_tests_are_valid() -> None:
    """What is tested above is a pipeline that Freshet would accept."""
    assert check(SPEC, json.loads(json.dumps(SCHEMA))) == []


def _texts(column: object) -> list[str]:
    assert isinstance(column, Strings)
    return column.tolist()
