"""Looking at topics: whose topic it is, what its last records are, and how records read."""

import json
import random

import numpy as np
import pytest

from freshet.avro import Encoder, Ragged, Strings
from freshet.avro.control import encode
from freshet.avro.own_schemas import Schema, current_schema, schema_id, schema_lock
from freshet.cli.output import emit, shown_text, table
from freshet.cli.topic import line
from freshet.contracts.messages import Cutover
from freshet.contracts.topic_table import TopicNames
from freshet.operate.operate_error import OperateError
from freshet.operate.records import Readable, hexdump, readable
from freshet.operate.tail import Tail, resolve
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.protocol import Send, Transaction

SCHEMA: Schema = {"type": "record", "name": "E", "fields": [{"name": "heat", "type": "double"}]}
EVENT_ID = 1 << 30


class World:
    """A pipeline's topics in memory."""

    def __init__(self, partitions: int = 1) -> None:
        names = TopicNames(pipeline="heat")
        self.cluster = MemoryCluster()
        self.cluster.ensure(names, partitions)
        self.bus = MemoryBus(self.cluster, names)

    def write(self, role: str, value: bytes | None, partition: int = 0) -> None:
        self.bus.producer().send(Send(role, [b"k"], [value], [partition]))

    def tail(self, role: str) -> Tail:
        return Tail(self.bus, role, Readable({EVENT_ID: SCHEMA}))

    def values(self, role: str) -> list[object]:
        return [row["value"] for row in self.tail(role).rows()]


@pytest.mark.parametrize(
    ("topic", "pipeline", "expected"),
    [
        ("features", "loans", ("features", "loans")),
        ("dev.loans.features", "", ("features", "loans")),
        ("dev.freshet.rollouts", "", ("rollouts", "")),
        ("rollouts", "", ("rollouts", "")),
        ("dev.a.b.dead-letters", "", ("dead-letters", "a.b")),
    ],
)
def test_a_topic_is_known_by_role_or_full_name(topic: str, pipeline: str, expected: tuple[str, str]) -> None:
    """What an operator copies from a Kafka console works as well as the role that Freshet calls it by."""
    assert resolve(topic, pipeline, "dev.") == expected


@pytest.mark.parametrize(("topic", "complaint"), [("features", "--pipeline"), ("dev.other", "roles are events")])
def test_a_topic_that_cannot_be_meant_is_refused(topic: str, complaint: str) -> None:
    """A data topic without its pipeline, and a topic that is not Freshet's."""
    with pytest.raises(OperateError, match=complaint):
        resolve(topic, "", "dev.")


def test_the_last_records_are_found_behind_gaps_and_across_partitions() -> None:
    """Markers of transactions take offsets: the newest two are still two, the oldest of them first."""
    world = World(partitions=2)
    producer = world.bus.transactional_producer("test", "0")
    producer.open()
    for number in range(5):
        world.cluster.advance(10)
        producer.commit(Transaction([Send("events", [b"k"], [json.dumps(number).encode()], [number % 2])]))
    assert [row["value"] for row in world.tail("events").last(2)] == [3, 4]
    assert [row["value"] for row in world.tail("events").last(100)] == [0, 1, 2, 3, 4]


def test_what_comes_later_is_not_among_what_was_there() -> None:
    """Following shows each record once: those from before, then those written since, none twice."""
    world = World()
    world.write("events", b"1")
    tail = world.tail("events")
    world.write("events", b"2")
    assert [row["value"] for row in tail.last(10)] == [1]
    assert next(tail.coming())["value"] == 2


def test_every_kind_of_record_is_shown_as_what_it_is() -> None:
    """Avro by its id, with NaN as text; our own records; control messages; JSON; tombstones; chunks by their digest."""
    world = World()
    world.write("events", Encoder(SCHEMA, EVENT_ID).encode({"heat": np.array([np.nan])})[0])
    world.write("events", b'{"heat": 3}')
    world.write("features", _feature_vector())
    cutover = Cutover(
        pipeline="heat", lane="serve", topic_id="t", partition=0, first_offset=7, epoch=1, fallback=0, cause="start"
    )
    world.write("cutovers", encode(cutover))
    world.write("models", None)
    world.write("artifacts", b"chunk")
    assert world.values("events") == [{"heat": "nan"}, {"heat": 3}]
    assert json.dumps(world.values("features")[0])
    assert world.values("features") == [
        {
            "event_id": "e",
            "entity": "d",
            "event_time": 5,
            "spec_version": 1,
            "values": [1.5, "nan"],
            "source_partition": 0,
            "source_offset": 9,
            "source_topic": "AAECAwQFBgcICQoLDA0ODw",
        }
    ]
    assert world.values("cutovers") == [cutover.model_dump()]
    assert world.values("models") == [None]
    assert line(world.tail("models").last(1)[0]).endswith("k (tombstone)")
    (chunk,) = world.values("artifacts")
    assert isinstance(chunk, dict)
    assert chunk["bytes"] == 5


def test_what_cannot_be_read_is_shown_as_bytes_with_the_reason() -> None:
    """A damaged record neither stops the tail nor hides: it says why, and shows what it is."""
    world = World()
    good = Encoder(SCHEMA, EVENT_ID).encode({"heat": np.array([1.0])})[0]
    world.write("events", good[:-1])
    world.write("events", b"\x01\x02")
    world.write("cutovers", b"\x00\x00")
    shown = [*world.values("events"), *world.values("cutovers")]
    assert [isinstance(value, dict) and value["undecodable"] for value in shown] == [
        "truncated",
        "neither a known schema id nor JSON",
        "not a control record",
    ]


def test_a_hexdump_shows_bytes_beside_text_and_says_what_it_leaves_out() -> None:
    """Sixteen bytes a line, as xxd has it; long values are cut with a count."""
    assert hexdump(b"\x00Avro") == [f"  000000  {'00 41 76 72 6f':<47}  .Avro"]
    assert hexdump(bytes(300))[-1] == "  … 44 bytes more"


def _feature_vector() -> bytes:
    return Encoder(current_schema("FeatureVector"), schema_id("FeatureVector")).encode(
        {
            "event_id": Strings.from_list(["e"]),
            "entity": Strings.from_list(["d"]),
            "event_time": np.array([5]),
            "spec_version": np.array([1], np.int32),
            "values": Ragged.from_matrix(np.array([[1.5, np.nan]], np.float32)),
            "source_partition": np.array([0], np.int32),
            "source_offset": np.array([9]),
            "source_topic": Strings.repeat(bytes(range(16)), 1),
        }
    )[0]


def test_a_header_without_a_value_harms_no_reader() -> None:
    """Kafka allows it, and one such record may not make a whole topic unreadable."""
    cluster = MemoryCluster()
    cluster.ensure(TopicNames("", "shop"), 1, ["events"])
    bus = MemoryBus(cluster, TopicNames("", "shop"))
    bus.producer().send(Send("events", [b"k"], [b"{}"], headers=[[("trace", None), ("tenant", b"a")]]))
    (row,) = Tail(bus, "events", Readable({})).last(1)
    assert row["headers"] == {"trace": "", "tenant": "a"}


HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\x7f\u202e\u2028\ud800\r\n"


def test_no_foreign_text_reaches_the_terminal_unescaped(capsys: pytest.CaptureFixture[str]) -> None:
    """Escapes in keys, headers and values, of the 7-bit and the 8-bit kind, are shown, not obeyed; one line each."""
    cluster = MemoryCluster()
    cluster.ensure(TopicNames("", "shop"), 1, ["events"])
    bus = MemoryBus(cluster, TopicNames("", "shop"))
    wild = HOSTILE.encode(errors="surrogatepass")
    value = json.dumps({HOSTILE: HOSTILE}, ensure_ascii=True).encode()
    bus.producer().send(Send("events", [wild], [value], headers=[[("h\x1b[1m", wild)]]))
    (row,) = Tail(bus, "events", Readable({})).last(1)
    assert line(row).isprintable()
    escaped = shown_text(json.dumps(row, ensure_ascii=False))
    assert escaped.isprintable()
    assert json.loads(escaped) == row
    shown = table("reason")
    shown.add_row(HOSTILE)
    for rendered, as_json in ((HOSTILE, False), (shown, False), ("", True)):
        emit({"a": HOSTILE}, rendered, as_json=as_json)
        assert capsys.readouterr().out.replace("\n", "").isprintable()


@pytest.mark.parametrize("timestamp_ms", [-1, 1 << 62, -(1 << 62)])
def test_a_time_that_no_calendar_has_is_a_number(timestamp_ms: int) -> None:
    """A producer may write any time; the line is shown all the same."""
    row = {"partition": 0, "offset": 1, "timestamp_ms": timestamp_ms, "key": None, "value": 1}
    assert line(row).endswith("None 1")


@pytest.mark.parametrize("role", ["events", "predictions", "dead-letters", "cutovers", "pipelines", "schemas"])
def test_no_record_ends_the_tail(role: str) -> None:
    """Random bytes, truncated frames of every id we know and deep JSON: each is one line, on every topic."""
    world = World()
    draw = random.Random(7)
    values = [draw.randbytes(size) for size in range(40)]
    ids = [EVENT_ID, *(entry.id for entry in schema_lock())]
    values += [b"\0" + known.to_bytes(4, "big") + draw.randbytes(size) for known in ids for size in (0, 3, 40)]
    values += [b"[" * depth + b"]" * depth for depth in (300, 480, 900, 5000)] + [b"9" * 5000, b"1e999"]
    for value in values:
        world.write(role, value)
    world.write("pipelines", b"garbage")
    rows = list(Tail(world.bus, role, readable(world.bus)).rows())
    assert len(rows) >= len(values)
    assert all(line(row) for row in rows)
