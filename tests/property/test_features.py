"""Whatever producers send, each event has one answer, and that answer depends on nothing but the event."""

import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freshet.avro.own_schemas import event_schema_id
from support.ingestion import NOW_MS, SCHEMA, applied, batch, dead, framed, loan, serving, written

NEWER: dict[str, Any] = {**SCHEMA, "fields": [*SCHEMA["fields"], {"name": "note", "type": "string", "default": ""}]}
LOGIC = serving()
LOGIC.fold(applied(schema=NEWER, number=2))

amounts = st.floats(0, 1e7) | st.floats()
applications = st.builds(
    loan,
    event_id=st.text(max_size=20),
    applicant=st.text(max_size=20),
    at=st.integers(NOW_MS - 8 * 86_400_000, NOW_MS + 700_000),
    salary=amounts,
    loan=amounts,
    hvalue=amounts,
    age=st.integers(0, 130),
    elevel=st.integers(-1, 5),
)


@st.composite
def values(draw: st.DrawFn) -> bytes | None:
    """An event of the old or the new schema, sound, damaged, or nothing of the kind."""
    schema = draw(st.sampled_from([SCHEMA, NEWER]))
    value = framed({**draw(applications), "note": "x"}, schema)
    match draw(st.sampled_from(["sound", "sound", "sound", "cut", "flipped", "junk", "null"])):
        case "cut":
            return value[: draw(st.integers(0, len(value) - 1))]
        case "flipped":
            at = draw(st.integers(5, len(value) - 1))  # behind the schema id: a strange id would wait, not answer
            return value[:at] + bytes([value[at] ^ draw(st.integers(1, 255))]) + value[at + 1 :]
        case "junk":
            junk = draw(st.binary(max_size=30))
            return junk if junk[:1] != b"\0" else b"\1" + junk
        case "null":
            return None
    return value


def answers(events: list[bytes | None]) -> list[tuple[object, ...]]:
    """The answer to each event: its vector but for the position, or why there is none."""
    effects = list(LOGIC.on_batch(batch(events)))
    letters = dead(effects)
    found: dict[int, tuple[object, ...]] = {row: (letter.reason, letter.detail) for row, letter in letters.items()}
    for vector in written(effects):
        row = vector.record.pop("source_offset") - 100
        assert row not in found
        numbers = vector.record.pop("values")
        found[row] = (vector.key, struct.pack(f"<{len(numbers)}f", *numbers), repr(vector.record))
    assert sorted(found) == list(range(len(events)))
    return [found[row] for row in range(len(events))]


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.lists(values(), min_size=1, max_size=12), st.randoms())
def test_answer_follows_from_the_event_alone(events: list[bytes | None], random: Any) -> None:
    """Each event has exactly one answer, the same bit for bit alone, in its batch and in any other order."""
    together = answers(events)
    assert [answers([event])[0] for event in events] == together
    order = list(range(len(events)))
    random.shuffle(order)
    assert answers([events[row] for row in order]) == [together[row] for row in order]


@settings(max_examples=200, deadline=None)
@given(applications)
def test_features_are_what_plain_arithmetic_says(event: dict[str, Any]) -> None:
    """Rules and features as a reader of pipeline.yaml would work them out by hand."""
    effects = list(LOGIC.on_batch(batch([framed(event)])))
    passes = (
        event["event_id"]
        and all(0 <= event[name] <= 1e7 for name in ("salary", "loan"))
        and 0 <= event["hvalue"] <= 1e8
        and 18 <= event["age"] <= 120
        and 0 <= event["elevel"] <= 4
        and NOW_MS - 7 * 86_400_000 <= event["at"] <= NOW_MS + 600_000
    )
    with np.errstate(over="ignore"):
        ratio = np.float32(event["loan"] / event["salary"] if event["salary"] else 0.0)
    if not passes or np.isinf(ratio):
        assert list(dead(effects)) == [0]
        return
    [vector] = written(effects)
    made = vector.record["values"]
    plain = [event[name] for name in ("salary", "commission", "age", "hyears", "loan")]
    assert made[:5] == [float(np.float32(number)) for number in plain]
    assert made[5] == pytest.approx(math.log1p(event["hvalue"]), rel=1e-6, abs=1e-44)
    assert made[6] == float(ratio)
    assert made[7:] == [float(event["elevel"] == level) for level in range(5)]
    assert vector.key == (event["applicant"] or event["event_id"]).encode()


def test_old_and_new_schema_have_different_ids() -> None:
    """The tests above mix two schemas: make sure that they are two."""
    assert event_schema_id(SCHEMA) != event_schema_id(NEWER)
