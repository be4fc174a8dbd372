"""Events become feature vectors; whatever is wrong with one becomes its dead letter, and no one else's."""

import math
from typing import Any

import pytest

from freshet.avro.own_schemas import event_schema_id
from freshet.contracts.headers import ARRIVED_MS, REDRIVE_OF
from freshet.contracts.topic_id import UNKNOWN_BYTES
from support.ingestion import NOW_MS, SCHEMA, SPEC, SPEC_TEXT, Dead, batch, dead, framed, loan, serving, written

DAY_MS = 86_400_000
ID = event_schema_id(SCHEMA)


def test_event_becomes_its_feature_vector() -> None:
    """Identity, time, position in the log and all features in the order of the specification."""
    effects = list(serving().on_batch(batch([framed(loan(salary=80000.0, loan=20000.0, elevel=4))])))
    assert dead(effects) == {}
    [vector] = written(effects)
    assert vector.key == b"ada"
    assert vector.partition is None
    values = vector.record.pop("values")
    assert {**vector.record, "event_time": vector.record["event_time"].timestamp() * 1000} == {
        "event_id": "e1",
        "entity": "ada",
        "event_time": NOW_MS,
        "spec_version": 1,
        "source_partition": 0,
        "source_offset": 100,
        "source_topic": UNKNOWN_BYTES,
    }
    expected = [80000, 20000, 40, 12, 20000, math.log1p(300000), 0.25, 0, 0, 0, 0, 1]
    assert values == pytest.approx(expected, rel=1e-6)
    assert len(values) == len(SPEC.feature_names)


BAD: dict[str, tuple[bytes | None, str, str]] = {
    "null": (None, "input_empty", "the value is null"),
    "empty": (b"", "input_empty", "no bytes"),
    "one-byte": (b"\0", "input_framing", "byte 00 and a schema id"),
    "magic": (b"\1" + framed(loan())[1:], "input_framing", "byte 00 and a schema id"),
    "json": (b'{"event_id": "e1"}', "input_framing", "byte 00 and a schema id"),
    "truncated": (framed(loan())[:-1], "input_truncated", ""),
    "trailing": (framed(loan()) + b"\0", "input_trailing", ""),
    "no-utf8": (framed(loan(applicant="ada")).replace(b"ada", b"\xff\xfe\xfd"), "input_bad_utf8", "applicant"),
    "too-large": (framed(loan(event_id="x" * 70_000)), "input_too_large", "the cap is 65536"),
    "too-large-stranger": (b"\0\0\0\0\7" + bytes(70_000), "input_too_large", "the cap is 65536"),
    "nan": (framed(loan(salary=math.nan)), "input_not_finite", "salary is nan: it must be a finite number"),
    "infinite": (framed(loan(hvalue=-math.inf)), "input_not_finite", "hvalue is -inf: it must be a finite number"),
    "below": (framed(loan(age=17)), "input_range", "age is 17: its rule asks for at least 18."),
    "above": (framed(loan(loan=1e7 + 1)), "input_range", "loan is 10000001.0: its rule asks for at most 10000000."),
    "not-listed": (framed(loan(elevel=5)), "input_enum", "elevel is 5: its rule asks for one of (0, 1, 2, 3, 4)."),
    "no-id": (framed(loan(event_id="")), "input_missing", "event_id is ''"),
    "1970": (
        framed(loan(at=0)),
        "input_event_time",
        "at is 1970-01-01T00:00:00.000Z, but the broker had it at 2025-06-15",
    ),
    "before-1970": (framed(loan(at=-(2**63) + 1)), "input_event_time", "ms after 1970"),
    "9999": (framed(loan(at=253_402_300_799_000)), "input_event_time", "9999-12-31T23:59:59.000Z, but the broker"),
    "beyond": (framed(loan(at=2**63 - 1)), "input_event_time", "9223372036854775807 ms after 1970"),
    "two-faults": (framed(loan(age=17, at=0)), "input_range", "age is 17"),
}


@pytest.mark.parametrize(("value", "reason", "said"), BAD.values(), ids=BAD)
def test_bad_event_is_set_aside_and_its_neighbours_are_answered(value: bytes | None, reason: str, said: str) -> None:
    """One dead letter with the reason and a sentence; the rows around it are answered in order."""
    values = [framed(loan(event_id="before")), value, framed(loan(event_id="after"))]
    effects = list(serving().on_batch(batch(values)))
    assert [row.record["event_id"] for row in written(effects)] == ["before", "after"]
    assert list(dead(effects)) == [1]
    assert dead(effects)[1].reason == reason
    assert said in dead(effects)[1].detail


def test_all_bad_events_of_a_batch_are_set_aside() -> None:
    """A batch in which nothing is good is a batch like others."""
    effects = list(serving().on_batch(batch([value for value, _, _ in BAD.values()])))
    assert written(effects) == []
    assert [found.reason for _, found in sorted(dead(effects).items())] == [reason for _, reason, _ in BAD.values()]


def test_dead_letters_name_the_schema_where_it_is_known() -> None:
    """The schema id is on the letter once the frame has told it."""
    effects = list(serving().on_batch(batch([None, framed(loan(age=1))])))
    assert dead(effects)[0].schema_id is None
    assert dead(effects)[1].schema_id == ID


@pytest.mark.parametrize(
    ("at", "answered"),
    [
        (NOW_MS - 7 * DAY_MS, True),
        (NOW_MS - 7 * DAY_MS - 1, False),
        (NOW_MS + 600_000, True),
        (NOW_MS + 600_001, False),
    ],
)
def test_time_is_judged_by_the_broker_s_clock(at: int, answered: bool) -> None:
    """Seven days back and ten minutes ahead are in, a millisecond more is out: the same in any later replay."""
    effects = list(serving().on_batch(batch([framed(loan(at=at))])))
    assert bool(written(effects)) is answered


NUMBERED: dict[str, Any] = {
    "type": "record",
    "name": "Payment",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "card", "type": ["null", "int"], "default": None},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "amount", "type": ["null", "double"], "default": None},
        {"name": "shop", "type": ["null", "string"], "default": None},
    ],
}
NUMBERED_SPEC = """
pipeline: loans
entity: card
event_id: id
event_time: at
partitioning: keep
rules:
  - {field: amount, finite: false, max: 10}
  - {field: shop, required: true, one_of: [a, b]}
features: {version: 3, columns: [{kind: impute, of: amount, value: -1.0}]}
target: {kind: value}
"""


def test_numbers_may_identify_and_null_entities_stand_alone() -> None:
    """Ids and entities of whole numbers are written in decimal; without an entity the event is keyed by its own id."""
    least = {"id": -(2**63), "card": None, "at": NOW_MS * 1000, "amount": None, "shop": "a"}
    other = {**least, "id": 7, "card": -12, "amount": math.nan, "at": NOW_MS * 1000 + 999}
    logic = serving(NUMBERED_SPEC, NUMBERED)
    effects = list(logic.on_batch(batch([framed(least, NUMBERED), framed(other, NUMBERED)], partitions=[3, 1])))
    rows = written(effects)
    assert [row.key for row in rows] == [b"-9223372036854775808", b"-12"]
    assert [row.record["event_id"] for row in rows] == ["-9223372036854775808", "7"]
    assert {row.record["event_time"].timestamp() * 1000 for row in rows} == {NOW_MS}
    assert [row.record["values"] for row in rows] == [[-1.0], [-1.0]]


def test_kept_partitions_are_those_of_the_events() -> None:
    """With `keep`, a feature vector goes to its event's partition number, whatever its key."""
    event = {"id": 1, "card": 1, "at": NOW_MS * 1000, "amount": 1.0, "shop": "a"}
    effects = serving(NUMBERED_SPEC, NUMBERED).on_batch(batch([framed(event, NUMBERED)] * 3, partitions=[3, 1, 5]))
    assert [row.partition for row in written(effects)] == [3, 1, 5]


@pytest.mark.parametrize(
    ("but", "found"),
    [
        ({"shop": None}, Dead("input_missing", "shop is null: its rule says `required`.", None)),
        ({"shop": "A"}, Dead("input_enum", "shop is 'A': its rule asks for one of ('a', 'b').", None)),
        ({"shop": "x" * 99}, Dead("input_enum", f"shop is '{'x' * 59}…: its rule asks for one of ('a', 'b').", None)),
        ({"amount": math.inf}, Dead("input_range", "amount is inf: its rule asks for at most 10.", None)),
        (
            {"amount": -1e39},
            Dead("input_not_finite", "feature 'amount' is infinite: the value is beyond what float32 can hold.", None),
        ),
    ],
)
def test_null_breaks_only_the_rules_about_null(but: dict[str, Any], found: Dead) -> None:
    """Sentences name field, value and rule, long values shortened; a null amount passes the rule on amounts."""
    event = {"id": 1, "card": 1, "at": NOW_MS * 1000, "amount": None, "shop": "b", **but}
    effects = serving(NUMBERED_SPEC, NUMBERED).on_batch(batch([framed(event, NUMBERED)]))
    assert dead(effects)[0]._replace(schema_id=None) == found


def test_feature_of_an_unlisted_float_must_be_finite() -> None:
    """The rule `finite` holds for every float that a feature reads, also where no rule names the field."""
    unruled = SPEC_TEXT.replace("  - {field: salary, min: 0, max: 10000000}\n", "")
    assert unruled != SPEC_TEXT
    assert dead(serving(unruled).on_batch(batch([framed(loan(salary=math.nan))])))[0].reason == "input_not_finite"


@pytest.mark.parametrize(
    ("at", "arrived_ms", "answered"),
    [
        (NOW_MS - 20 * DAY_MS, NOW_MS - 20 * DAY_MS, True),
        (NOW_MS - 20 * DAY_MS, NOW_MS - 10 * DAY_MS, False),
        (NOW_MS - 20 * DAY_MS, NOW_MS + DAY_MS, False),
        (NOW_MS + DAY_MS, NOW_MS + 2 * DAY_MS, False),
    ],
    ids=["was-young", "was-old", "arrived-after-itself", "ahead"],
)
def test_a_redriven_event_is_as_old_as_it_was(at: int, arrived_ms: int, answered: bool) -> None:
    """Its age is judged by when it arrived first: letters are kept longer than the age that an event may have.

    A time of arrival that lies behind the record's own proves nothing.
    """
    headers = [(REDRIVE_OF, b"loans.events/0/7"), (ARRIVED_MS, str(arrived_ms).encode())]
    effects = list(serving().on_batch(batch([framed(loan(at=at))], headers=headers)))
    assert bool(written(effects)) == answered


@pytest.mark.parametrize("repeats", [[], [(REDRIVE_OF, None)], [(REDRIVE_OF, b"")]])
def test_a_time_of_arrival_counts_only_on_an_event_that_repeats_another(
    repeats: list[tuple[str, bytes | None]],
) -> None:
    """A producer that copies that header alone does not get past max_event_age."""
    headers = [*repeats, (ARRIVED_MS, str(NOW_MS - 20 * DAY_MS).encode())]
    effects = list(serving().on_batch(batch([framed(loan(at=NOW_MS - 20 * DAY_MS))], headers=headers)))
    assert dead(effects)[0].reason == "input_event_time"
