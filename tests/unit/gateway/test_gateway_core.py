"""What the gateway decides without IO: what a request means, who gets which answer, and what is too much."""

from collections.abc import Callable
from typing import Any

import pytest

from freshet.avro.event_fields import event_fields
from freshet.contracts.shipped import pipelines_dir
from freshet.gateway.core.limits import BODY_BYTES, ROWS, Room, body_room
from freshet.gateway.core.openapi import openapi
from freshet.gateway.core.posted import check_sizes, posted, wait_s
from freshet.gateway.core.refused import RefusedRequestError
from freshet.gateway.core.tail_queue import TailQueue
from freshet.gateway.core.waiters import Waiter, Waiters
from freshet.pipeline import load_folder


@pytest.mark.parametrize(
    ("ask", "status", "says"),
    [
        (lambda: posted(b'{"a": 1'), 400, "no JSON"),
        (lambda: posted(b'{"a": NaN}'), 400, "NaN"),
        (lambda: posted(b'{"a": 1e999}'), 400, "larger than any number"),
        (lambda: posted(b'{"a": [-1e400]}'), 400, "larger than any number"),
        (lambda: posted(b'[{"a": 1, "b": 2, "a": 1}]'), 400, "'a' stands in one object more than once"),
        (lambda: posted(b'{"\\ud800": 1, "\\ud800": 2}'), 400, "ud800' stands"),
        (lambda: posted(b"[" * 100_000), 400, "no JSON"),
        (lambda: posted(b"3"), 400, "object"),
        (lambda: posted(b"[]"), 400, "1 to 1,000"),
        (lambda: posted(b"[" + b"{}," * ROWS + b"{}]"), 400, "in parts"),
        (lambda: wait_s("soon"), 400, "milliseconds"),
        (lambda: wait_s("-1"), 400, "milliseconds"),
        (lambda: wait_s("30001"), 400, "30,000"),
        (lambda: body_room("10", "text/plain", ""), 415, "application/json"),
        (lambda: body_room(str(BODY_BYTES + 1), "application/json", ""), 413, "1,048,576"),
        (lambda: body_room("0", "application/json", "chunked"), 400, "contradict"),
        (lambda: check_sizes([b"k"], [b"v" * 900_000]), 413, "900,000"),
    ],
)
def test_a_bad_request_is_refused_with_a_sentence(ask: Callable[[], object], status: int, says: str) -> None:
    """Each with its status."""
    with pytest.raises(RefusedRequestError, match=says) as refused:
        ask()
    assert refused.value.status == status


def test_a_good_request_is_understood() -> None:
    """One object or an array; no wait, or so many milliseconds."""
    assert (posted(b'{"a": 1}').rows, posted(b'{"a": 1}').is_list) == ([{"a": 1}], False)
    assert (posted(b'[{"a": 1}]').rows, posted(b'[{"a": 1}]').is_list) == ([{"a": 1}], True)
    assert (wait_s(None), wait_s("0"), wait_s("1500")) == (0.0, 0.0, 1.5)
    assert body_room("17", "application/json; charset=utf-8", "") == 17
    assert body_room("", "application/json", "chunked") == BODY_BYTES, "a body of unknown length counts as the largest"


def test_room_is_bounded_and_is_given_back() -> None:
    """By requests and by bytes."""
    room = Room(requests=2, body_bytes=100)
    room.enter(60)
    with pytest.raises(RefusedRequestError, match="60 bytes") as refused:
        room.enter(41)
    assert refused.value.status == 429
    room.enter(40)
    with pytest.raises(RefusedRequestError, match="2 requests"):
        room.enter(0)
    room.leave(60)
    room.enter(0)


class World:
    """Waiters, and who of them was told."""

    def __init__(self) -> None:
        self.waiters = Waiters()
        self.told: list[str] = []

    def expect(self, event_id: str, position: tuple[int, int] | None = None) -> Waiter:
        """Wait for an event; with a position it is acknowledged at once."""
        waiter = self.waiters.expect(event_id, lambda: self.told.append(event_id))
        if position is not None:
            self.waiters.place(waiter, position)
        return waiter

    def predicted(self, *rows: tuple[str, tuple[int, int], str]) -> None:
        """A batch of predictions: event id, the event's position, what is said."""
        self.waiters.predicted([row[0] for row in rows], lambda at: rows[at][1], lambda at: {"prediction": rows[at][2]})


def test_an_answer_goes_to_whoever_waits_for_that_event() -> None:
    """Once; a row that nobody waits for is not even made."""
    world = World()
    first, other = world.expect("a", (0, 1)), world.expect("b", (0, 2))
    made: list[int] = []

    def make(row: int) -> dict[str, Any]:
        made.append(row)
        return {"prediction": row}

    world.waiters.predicted(["x", "a", "y", "a"], lambda _: (0, 1), make)
    assert (first.answer, other.answer, world.told) == ({"prediction": 1}, None, ["a"])
    assert 0 not in made
    assert 2 not in made
    for waiter in (first, other):
        world.waiters.forget(waiter)
    assert len(world.waiters) == 0


def test_two_events_of_one_id_get_each_its_own_answer() -> None:
    """The position decides, also where the answer comes before the acknowledgement."""
    world = World()
    early, late = world.expect("a"), world.expect("a", (0, 2))
    world.predicted(("a", (0, 1), "one"))
    assert (early.answer, late.answer) == (None, None)
    world.waiters.place(early, (0, 1))
    world.predicted(("a", (0, 2), "two"))
    assert (early.answer, late.answer) == ({"prediction": "one"}, {"prediction": "two"})


def test_many_events_of_one_id_cost_one_look_each() -> None:
    """Each prediction finds its waiter by position; those that come before the positions are known go to all."""
    world = World()
    placed = [world.expect("a", (0, offset)) for offset in range(50)]
    early = [world.expect("a") for _ in range(50)]
    looked: list[int] = []

    def position(row: int) -> tuple[int, int]:
        looked.append(row)
        return (0, row)

    world.waiters.predicted(["a"] * 100, position, lambda row: {"prediction": row})
    assert len(looked) == 100
    for offset, waiter in enumerate(early, 50):
        world.waiters.place(waiter, (0, offset))
    assert [waiter.answer for waiter in (*placed, *early)] == [{"prediction": row} for row in range(100)]
    for waiter in (*placed, *early):
        world.waiters.forget(waiter)
    assert len(world.waiters) == 0


def test_a_dead_letter_is_an_answer_also_when_it_comes_first() -> None:
    """It names its event by position only."""
    world = World()
    waiting, early = world.expect("a", (0, 1)), world.expect("b")
    world.waiters.set_aside((0, 1), {"dead_letter": "x"})
    world.waiters.set_aside((0, 2), {"dead_letter": "y"})
    world.waiters.place(early, (0, 2))
    assert (waiting.answer, early.answer) == ({"dead_letter": "x"}, {"dead_letter": "y"})
    for number in range(3, 5_000):
        world.waiters.set_aside((0, number), {"dead_letter": "z"})
    assert len(world.waiters._letters) == 1_000, "bounded, however many come"


def test_a_slow_reader_loses_the_oldest_and_hears_how_many() -> None:
    """Rows that were left out because others are newer count as lost too."""
    queue = TailQueue(most=3)
    assert queue.put([{"n": 1}, {"n": 2}]) == 0
    assert queue.put([{"n": 3}, {"n": 4}]) == 1
    assert queue.take() == [{"dropped": 1}, {"n": 2}, {"n": 3}, {"n": 4}]
    assert queue.take() == []
    queue.put([{"n": 5}])
    assert queue.put([{"n": 9}, {"n": 10}, {"n": 11}], left_out=3) == 4
    assert queue.take() == [{"dropped": 4}, {"n": 9}, {"n": 10}, {"n": 11}]


def test_the_description_names_each_field_of_each_pipeline() -> None:
    """Required is what the gateway cannot make up."""
    spec, _, schema = load_folder(pipelines_dir() / "loans")
    described = openapi({"loans": (spec, event_fields(schema))})
    assert set(described["paths"]) == {"/pipelines/loans/events", "/pipelines/loans/labels"}
    event = described["components"]["schemas"]["loans.Event"]
    assert list(event["properties"]) == [field["name"] for field in schema["fields"]]
    assert {*event["properties"]} - {*event["required"]} == {"event_id", "at"}
    assert event["properties"]["age"] == {"type": "integer"}
    scores = described["components"]["schemas"]["loans.Prediction"]["properties"]["scores"]
    assert list(scores["properties"]) == ["approved", "declined"]
