"""`freshet topic export`, in memory and on a real Kafka: what is in the file, and that it is the same again."""

import hashlib
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from freshet.avro import Column, Encoder, Ragged, Strings
from freshet.avro.control import encode
from freshet.avro.own_schemas import current_schema, schema_id
from freshet.contracts import topic_id
from freshet.operate.export.content_digest import ContentDigest
from freshet.operate.export.topic_export import Exported, export
from freshet.operate.export.topic_range import topic_range
from freshet.operate.operate_error import OperateError
from freshet.outcomes.outcome_rows import ABSENT, FIRST
from freshet.pipeline import PipelineSpec
from freshet.runtime.bus.protocol import Place, Send, Transaction
from support.buses import BusWorld, bus_world, opened, until
from support.outcomes import record_of, rows_of

__all__ = ["bus_world"]

SPEC: Final = PipelineSpec.parse("""
pipeline: fraud
entity: card
event_id: id
event_time: at
features:
  version: 2
  columns: [{kind: field, of: amount}, {kind: field, of: offset}, {kind: field, of: late}]
target: {classes: ["no", "yes"]}
""")
TOPIC_ID: Final = topic_id.to_text(bytes(range(16)))


def vectors(*numbers: int, width: int = 3) -> list[bytes]:
    """Feature vectors whose every field follows from their numbers; the last feature has no value."""
    n = len(numbers)
    values = np.array([[number, number / 8, np.nan][:width] for number in numbers], np.float32)
    columns: dict[str, Column] = {
        "event_id": Strings.from_list([f"e{number}" for number in numbers]),
        "entity": Strings.from_list(["ä"] * n),
        "event_time": 1000 * np.array(numbers, np.int64),
        "spec_version": np.full(n, width - 1, np.int32),
        "values": Ragged.from_matrix(values),
        "source_partition": np.zeros(n, np.int32),
        "source_offset": np.array(numbers, np.int64),
        "source_topic": Strings.repeat(topic_id.to_bytes(TOPIC_ID), n),
    }
    return Encoder(current_schema("FeatureVector"), schema_id("FeatureVector")).encode(columns)


def committed(world: BusWorld, *sends: Send) -> None:
    """One committed transaction."""
    producer = opened(world.bus)
    producer.commit(Transaction(sends))
    producer.close()


def exported(world: BusWorld, role: str, path: Path, start: str = "", end: str = "") -> tuple[Exported, Any]:
    """What was said of the file, and the file as a table."""
    done = export(world.bus, SPEC, 3, topic_range(world.bus, role, start, end, 0), path)
    return done, parquet.read_table(path)


def sends(role: str, partition: int, *values: bytes | None) -> Send:
    """Records for one partition."""
    return Send(role, [b"k"] * len(values), values, [partition] * len(values))


def test_features_are_typed_columns_and_the_same_range_is_the_same_file(bus_world: BusWorld, tmp_path: Path) -> None:
    """Older rows lack a feature (null), one has no value (NaN); an open transaction and a stranger are left out."""
    bus_world.make_topics("features")
    committed(bus_world, sends("features", 1, *vectors(1, width=2)), sends("features", 0, *vectors(2, 3), b"strange"))
    first, table = exported(bus_world, "features", tmp_path / "one.parquet")
    assert (first.rows, first.left_out) == (3, 1)
    found = {name: table.column(name).to_pylist() for name in ("event_id", "entity", "amount", "feature.offset")}
    assert found == {
        "event_id": ["e2", "e3", "e1"],
        "entity": ["ä"] * 3,
        "amount": [2, 3, 1],
        "feature.offset": [0.25, 0.375, 0.125],
    }
    assert str(table.schema.field("event_time").type) == "timestamp[ms, tz=UTC]"
    assert str(table.schema.field("late").type) == "float"
    assert table.column("late").null_count == 1
    assert np.isnan(table.column("late").to_pylist()[:2]).all()
    assert set(table.column("source_topic").to_pylist()) == {TOPIC_ID}
    told = {
        name.decode(): value.decode()
        for name, value in parquet.ParquetFile(tmp_path / "one.parquet").metadata.metadata.items()
    }
    bounds = told["freshet.from"], told["freshet.to"]
    assert (told["freshet.digest"], told["freshet.rows"], told["freshet.specification"]) == (first.digest, "3", "3")

    dying = opened(bus_world.bus, "1")
    bus_world.crash(dying, Transaction([sends("features", 0, *vectors(4))]), "produced")
    committed(bus_world, sends("features", 1, *vectors(5)))
    again, _ = exported(bus_world, "features", tmp_path / "two.parquet", *bounds)
    assert again == first
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    all_now, table = exported(bus_world, "features", tmp_path / "three.parquet")
    assert table.column("event_id").to_pylist() == ["e2", "e3", "e1", "e5"]
    assert all_now.digest != first.digest
    behind = bus_world.bus.spans("features")[0].high
    with pytest.raises(OperateError, match="An open transaction hides what lies behind it"):
        topic_range(bus_world.bus, "features", "", f"0:{behind}", 0)


def test_ranges_that_are_not_there_are_refused(bus_world: BusWorld) -> None:
    """Too far, gone, another partition, the wrong way round, no offset, no topic: fewer rows would pass for all."""
    with pytest.raises(OperateError, match="does not exist yet"):
        topic_range(bus_world.bus, "features", "", "", 0)
    bus_world.make_topics("features")
    committed(bus_world, sends("features", 0, *vectors(1, 2, 3)))
    bus_world.truncate(Place("features", 0), 2)
    until(lambda: bus_world.bus.spans("features")[0].low == 2)
    refusals = {
        ("0:1", ""): "begins at offset 2: retention has taken offset 1",
        ("", "0:99"): "can be read up to offset",
        ("2:0", ""): "has no partition 2, only 0 to 1",
        ("0:3", "0:2"): "lies behind --to",
        ("soon", ""): "neither a moment",
    }
    for bounds, sentence in refusals.items():
        with pytest.raises(OperateError, match=sentence):
            topic_range(bus_world.bus, "features", *bounds, 0)
    everything = topic_range(bus_world.bus, "features", "2200-01-01T00:00Z", "", 0)
    assert {first == end for first, end in everything.offsets.values()} == {True}
    assert topic_range(bus_world.bus, "features", "0:2", "", 0).first_text == "0:2"


def test_records_that_go_while_they_are_read_are_no_file(bus_world: BusWorld, tmp_path: Path) -> None:
    """A file with fewer rows would have another digest, and nobody would know why; nothing is left in the folder."""
    bus_world.make_topics("features")
    committed(bus_world, sends("features", 0, *vectors(1, 2, 3)))
    wanted = topic_range(bus_world.bus, "features", "", "", 0)
    bus_world.truncate(Place("features", 0), 2)
    until(lambda: bus_world.bus.spans("features")[0].low == 2)
    with pytest.raises(OperateError, match="has lost records of this range"):
        export(bus_world.bus, SPEC, 1, wanted, tmp_path / "features.parquet")
    assert list(tmp_path.iterdir()) == []
    wanted = topic_range(bus_world.bus, "features", "", "", 0)
    bus_world.delete_topic("features")
    bus_world.make_topics("features")
    with pytest.raises(OperateError, match="has lost records of this range"):
        export(bus_world.bus, SPEC, 1, wanted, tmp_path / "features.parquet")
    with pytest.raises(OperateError, match="cannot be written"):
        export(bus_world.bus, SPEC, 1, topic_range(bus_world.bus, "features", "", "", 0), tmp_path / "no/file")


def test_the_labelled_log_is_a_row_a_label(bus_world: BusWorld, tmp_path: Path) -> None:
    """Answer and truth by name, features by name, and the places of prediction and label."""
    bus_world.make_topics("outcomes")
    rows = rows_of(3, answer=[0, 1, 1], flags=[FIRST, FIRST, FIRST | ABSENT], values=np.ones((3, 2), np.float32))
    record = record_of(rows, first_row=7, partition=1).model_copy(update={"pipeline": "fraud"})
    strange = record.model_copy(update={"pipeline": "other"})
    bus_world.bus.producer().send(sends("outcomes", 0, encode(record), encode(strange)))
    done, table = exported(bus_world, "outcomes", tmp_path / "log.parquet")
    assert (done.rows, done.left_out) == (3, 1)
    found = {name: table.column(name).to_pylist() for name in table.column_names}
    assert found["answer"] == ["no", "yes", "yes"]
    assert found["label"] == ["yes"] * 3
    assert found["score.yes"] == [0.75] * 3
    assert (found["partition"], found["partition_row"]) == ([1] * 3, [7, 8, 9])
    assert (found["absent"], found["label_offset"]) == ([False, False, True], [0, 1, None])
    assert (found["amount"], found["offset"], found["late"]) == ([1] * 3, [1] * 3, [None] * 3)


def test_dead_letters_keep_their_bytes(bus_world: BusWorld, tmp_path: Path) -> None:
    """Reason, place and original bytes; a receipt of a redrive is no letter."""
    bus_world.make_topics("dead-letters")
    headers = [
        ("freshet.reason", b"input_range"),
        ("freshet.role", b"events"),
        ("freshet.partition", b"0"),
        ("freshet.offset", b"9"),
    ]
    letters = Send(
        "dead-letters", [b"k", None], [b"\x00\xff", b""], [0, 0], [headers, [("freshet.redriven", b"t/0/9")]]
    )
    committed(bus_world, letters)
    done, table = exported(bus_world, "dead-letters", tmp_path / "letters.parquet")
    assert (done.rows, done.left_out) == (1, 1)
    row = table.to_pylist()[0]
    assert (row["reason"], row["source_role"], row["source_partition"], row["source_offset"]) == (
        "input_range",
        "events",
        0,
        9,
    )
    assert (row["key"], row["value"], row["model_version"]) == (b"k", b"\x00\xff", None)


def test_the_digest_is_of_what_rows_say() -> None:
    """Parts make no difference; a null is no zero, a moved letter no other text; and anybody can compute it."""
    schema = pa.schema([("n", pa.int32()), ("text", pa.string())])

    def digest(*parts: list[dict[str, Any]]) -> str:
        made = ContentDigest(schema)
        for part in parts:
            made.add(pa.RecordBatch.from_pylist(part, schema))
        return made.hexdigest()

    rows: list[dict[str, Any]] = [{"n": 1, "text": "ab"}, {"n": 0, "text": "c"}, {"n": -1, "text": None}]
    assert digest(rows) == digest(rows[:1], rows[1:]) == digest(rows[:2], [], rows[2:])
    others = [
        [{"n": 1, "text": "a"}, {"n": 0, "text": "bc"}, rows[2]],
        [rows[0], {"n": None, "text": "c"}, rows[2]],
        rows[:2],
    ]
    assert len({digest(rows), *(digest(other) for other in others)}) == 4

    def sha(data: bytes) -> str:
        return hashlib.sha256(data).hexdigest()

    numbers = [b"\1\1\1", b"", np.array([1, 0, -1], "<i4").tobytes()]
    texts = [b"\1\1\0", np.array([2, 1, 0], "<i8").tobytes(), b"abc"]
    lines = f"n int32 {' '.join(map(sha, numbers))}\ntext string {' '.join(map(sha, texts))}\n"
    assert digest(rows) == sha(lines.encode())
