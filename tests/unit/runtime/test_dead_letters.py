"""Dead letters can always be written, and always say where they come from."""

import hashlib

import numpy as np
import pytest

from freshet.contracts.logic import DeadLetter
from freshet.contracts.topic_table import TopicNames, topic_table
from freshet.runtime.bus.memory.partition_log import At, MemoryRecord, Payload
from freshet.runtime.bus.protocol import Place, Send
from freshet.runtime.dead_letter_records import dead_letters, expired_letter, origin, producers_headers, topic_id_of
from support.rows import NOW_MS, batch, row

NAMES = TopicNames("dev.", "p")
CAP_BYTES = topic_table()["dead-letters"].max_message_bytes or 0


def letters(record: MemoryRecord, detail: str = "age is 900", schema_id: int | None = None) -> Send:
    """The dead letter of one record."""
    effect = DeadLetter(np.array([0]), "input_range", [detail], schema_id)
    return dead_letters(batch([record]), effect, NAMES, "ingestion", "1.2.3", topic_id="features-topic-of-now_")


def context(send: Send) -> dict[str, bytes]:
    """The headers of its only record."""
    assert send.headers is not None
    return {name: value or b"" for name, value in send.headers[0]}


def size_bytes(send: Send) -> int:
    """What its only record weighs."""
    assert send.headers is not None
    return Payload(send.keys[0], send.values[0], send.headers[0]).size_bytes()


def test_the_bytes_stay_untouched_and_the_headers_tell_the_rest() -> None:
    """Key, value and partition are the input's own; every coordinate and the reason are in the headers."""
    send = letters(row(3, 41, b"\x00broken", b"ada"), schema_id=100_007)
    assert (send.role, send.keys, send.values, send.partitions) == ("dead-letters", [b"ada"], [b"\x00broken"], [3])
    assert context(send) == {
        "freshet.reason": b"input_range",
        "freshet.detail": b"age is 900",
        "freshet.role": b"features",
        "freshet.topic": b"dev.p.features",
        "freshet.topic_id": b"features-topic-of-now_",
        "freshet.partition": b"3",
        "freshet.offset": b"41",
        "freshet.timestamp_ms": str(NOW_MS + 41).encode(),
        "freshet.service": b"ingestion",
        "freshet.version": b"1.2.3",
        "freshet.schema_id": b"100007",
    }


def test_a_letter_names_the_model_version_that_had_no_answer() -> None:
    """`freshet score` counts by it; where no model was asked there is no such header."""
    effect = DeadLetter(np.array([0]), "model_missing_value", ["age has no value."], model_version="1.0.1")
    send = dead_letters(batch([row(3, 41)]), effect, NAMES, "inference", "1.2.3")
    assert context(send)["freshet.model_version"] == b"1.0.1"


def test_the_origin_can_be_read_back() -> None:
    """Verify, recovery and redrive find the input by the headers alone."""
    assert origin(list(context(letters(row(3, 41))).items())) == ("features", 3, 41)


@pytest.mark.parametrize(
    "headers",
    [
        None,
        [],
        [("freshet.role", b"features"), ("freshet.partition", b"3")],
        [("freshet.role", b"features"), ("freshet.partition", b"x"), ("freshet.offset", b"1")],
        [("freshet.role", b"features"), ("freshet.partition", b"-3"), ("freshet.offset", b"1")],
        [("freshet.role", b"features"), ("freshet.partition", b"3"), ("freshet.offset", b"1" * 20)],
        [("freshet.role", b"features"), ("freshet.partition", b"3"), ("freshet.offset", b"1" * 4301)],
        [("freshet.role", b"\xff"), ("freshet.partition", b"3"), ("freshet.offset", b"1")],
        [("freshet.role", None), ("freshet.partition", b"3"), ("freshet.offset", b"1")],
        [("freshet.role", b"features"), ("freshet.partition", None), ("freshet.offset", b"1")],
    ],
)
def test_a_strangers_record_has_no_origin(headers: list[tuple[str, bytes | None]] | None) -> None:
    """Anybody may write to this topic: incomplete or damaged headers are no error."""
    assert origin(headers) is None


@pytest.mark.parametrize("value_bytes", [0, 1_048_576, CAP_BYTES - 4098, CAP_BYTES - 200, 3_000_000])
@pytest.mark.parametrize("key_bytes", [0, 1, 1_200_000])
def test_a_dead_letter_always_fits_its_topic(value_bytes: int, key_bytes: int) -> None:
    """However large the record and however long the explanation, nothing stops the stream."""
    assert size_bytes(letters(row(0, 1, b"v" * value_bytes, b"k" * key_bytes), detail="é" * 5000)) < CAP_BYTES


def test_a_long_explanation_is_cut_between_two_letters() -> None:
    """Headers are UTF-8, for other readers as for ours."""
    assert context(letters(row(0, 1), detail="a" + "é" * 5000))["freshet.detail"].decode() == "a" + "é" * 255


def test_no_key_and_no_value_stay_none() -> None:
    """A tombstone among the events is set aside as what it is."""
    send = letters(row(0, 1, None, None))
    assert (send.keys, send.values) == ([None], [None])


def test_what_does_not_fit_keeps_its_beginning_its_length_and_its_fingerprint() -> None:
    """Enough to find the sender and to recognise the bytes; what fits is not cut."""
    value = bytes(range(256)) * 8000
    send = letters(row(0, 1, value))
    assert send.values == [value[:4096]]
    assert context(send)["freshet.truncated"] == str(len(value)).encode()
    assert context(send)["freshet.sha256"] == hashlib.sha256(value).hexdigest().encode()
    assert "freshet.truncated" not in context(letters(row(0, 1, value[:1_000_000])))


def test_expired_records_leave_one_letter_with_the_last_of_them_as_origin() -> None:
    """Recovery then starts behind it."""
    send = expired_letter(Place("features", 2), 12, "offsets 3 to 12 expired unread", "of-this-topic")
    assert send.partitions == [2]
    assert origin(list(context(send).items())) == ("features", 2, 11)
    assert context(send)["freshet.reason"] == b"input_expired"
    assert topic_id_of(list(context(send).items())) == "of-this-topic"


def test_the_producers_headers_are_kept_in_front_of_ours() -> None:
    """In their order, null values and repeats included; one whose name begins like ours cannot be taken for ours."""
    theirs = [("traceparent", b"00-1"), ("none", None), ("traceparent", b"00-2"), ("freshet.reason", b"fake")]
    record = MemoryRecord(At("dev.p.features", 0), 7, NOW_MS, Payload(b"k", b"v", theirs))
    send = letters(record)
    assert send.headers is not None
    assert list(send.headers[0][:4]) == [*theirs[:3], ("original.freshet.reason", b"fake")]
    assert context(send)["freshet.reason"] == b"input_range"
    assert producers_headers(send.headers[0]) == theirs


@pytest.mark.parametrize(
    ("name", "in_the_letter"),
    [
        ("original.id", "original.id"),
        ("original.", "original."),
        ("freshet.x", "original.freshet.x"),
        ("original.freshet.x", "original.original.freshet.x"),
        ("freshet", "freshet"),
    ],
)
def test_a_producers_header_comes_back_under_its_own_name(name: str, in_the_letter: str) -> None:
    """Also one that looks like what we make of others; as often as its record is set aside and sent again."""
    theirs: list[tuple[str, bytes | None]] = [(name, b"1")]
    for _ in range(2):
        send = letters(MemoryRecord(At("dev.p.features", 0), 7, NOW_MS, Payload(b"k", b"v", theirs)))
        assert send.headers is not None
        assert send.headers[0][0] == (in_the_letter, b"1")
        theirs = producers_headers(send.headers[0])
        assert theirs == [(name, b"1")]


def test_headers_that_do_not_fit_are_left_out() -> None:
    """A record may consist of headers alone: its first 4 KiB are kept, and the letter says that it is not whole."""
    theirs = [(f"h{number}", b"x" * 1000) for number in range(2000)]
    record = MemoryRecord(At("dev.p.features", 0), 7, NOW_MS, Payload(b"k", b"v", theirs))
    send = letters(record)
    assert send.headers is not None
    assert producers_headers(send.headers[0]) == theirs[:4]
    assert context(send)["freshet.truncated"] == b"1"
    assert size_bytes(send) < CAP_BYTES
