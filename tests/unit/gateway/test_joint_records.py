"""Requests whose records are made together get what each would get alone."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Any, Final

import pytest

from freshet.client.client_errors import RowError
from freshet.client.event_records import RecordMaker, Records
from freshet.contracts.messages import PipelineRecord
from freshet.contracts.shipped import pipelines_dir
from freshet.gateway.joint_records import joint_records
from freshet.gateway.record_making import RecordMaking
from unit.gateway.test_gateway_http import ROW

FOLDER: Final = pipelines_dir() / "loans"
MAKER: Final = RecordMaker(
    PipelineRecord(
        pipeline="loans",
        number=1,
        spec=(FOLDER / "pipeline.yaml").read_text(),
        event_schema=(FOLDER / "event.avsc").read_text(),
        event_schema_id=2**30,
    )
)
NOW_MS: Final = 1_790_000_000_000
NAMED: Final = ROW | {"event_id": "mine"}
POSTS: Final[Sequence[Sequence[Any]]] = (
    [ROW],
    [NAMED],
    [ROW | {"age": "old"}],
    [ROW],
    [ROW, NAMED],
    ["no object"],
    [ROW | {"ages": 1}],
    [{}],
    [ROW | {"age": {"years": 40}}],
    [ROW | {"applicant": "Bo"}],
)


def counted() -> Callable[[], str]:
    """Ids one after the other."""
    numbers = itertools.count()
    return lambda: f"id-{next(numbers)}"


def alone(rows: Sequence[Any]) -> Records | RowError:
    """What one request gets by itself."""
    try:
        return MAKER.events(rows, now_ms=NOW_MS, new_id=lambda: "made up")
    except RowError as error:
        return error


def test_each_request_gets_what_it_would_get_alone() -> None:
    """Rows with and without an id, wrong ones, and several rows in one request; a wrong one spoils no other."""
    found = joint_records(MAKER, POSTS, now_ms=NOW_MS, new_id=lambda: "made up")
    for got, expected in zip(found, map(alone, POSTS), strict=True):
        if isinstance(expected, Records):
            assert got == expected
        else:
            assert isinstance(got, RowError)
            assert (str(got), got.row, got.field) == (str(expected), expected.row, expected.field)


def test_requests_that_are_made_together_have_ids_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """And are encoded once."""
    calls = list[int]()
    made = MAKER.events

    def noted(rows: Sequence[Any], **but: Any) -> Records:
        calls.append(len(rows))
        return made(rows, **but)

    monkeypatch.setattr(MAKER, "events", noted)
    found = joint_records(MAKER, [[ROW]] * 50, now_ms=NOW_MS, new_id=counted())
    assert calls == [50]
    assert [one.ids for one in found if isinstance(one, Records)] == [[f"id-{number}"] for number in range(50)]


def test_a_caller_that_has_left_and_a_fault_harm_no_other_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than are made at once come in the next turn."""
    making = RecordMaking(MAKER)

    async def ask() -> list[Any]:
        asked = [asyncio.create_task(making.events([NAMED | {"event_id": f"e{at}"}])) for at in range(450)]
        await asyncio.sleep(0)
        asked[7].cancel()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        monkeypatch.setattr(MAKER, "events", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await making.events([ROW])
        monkeypatch.undo()
        return [*answers, await making.events([NAMED])]

    answers = asyncio.run(ask())
    assert isinstance(answers.pop(7), asyncio.CancelledError)
    assert [answer.ids[0] for answer in answers] == [*(f"e{at}" for at in range(450) if at != 7), "mine"]
