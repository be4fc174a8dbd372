"""Records for the rows of several requests, made in one go: columns cost the same for one row as for a hundred."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from freshet.client.client_errors import RowError
from freshet.client.event_records import RecordMaker, Records

MOST_REQUESTS: Final = 200
"""Made together; so that nobody waits for more."""


def joint_records(
    maker: RecordMaker, requests: Sequence[Sequence[Any]], *, now_ms: int, new_id: Callable[[], str]
) -> list[Records | RowError]:
    """For each request its records, or why its rows are no events, as if it had been alone."""
    groups: dict[object, list[int]] = {}
    for number, rows in enumerate(requests):
        groups.setdefault(_alike(rows) or number, []).append(number)
    found: list[Records | RowError | None] = [None] * len(requests)
    for numbers in groups.values():
        together = [requests[number] for number in numbers]
        for number, records in zip(numbers, _made(maker, together, now_ms, new_id), strict=True):
            found[number] = records
    return [records for records in found if records is not None]


def _alike(rows: Sequence[Any]) -> tuple[str, ...] | None:
    """What rows that can be made together share: the names that are given, since those left out are filled in.

    None for what is made alone: many rows, or one with objects in it.
    """
    if len(rows) != 1 or not isinstance(rows[0], Mapping) or any(isinstance(one, dict) for one in rows[0].values()):
        return None
    return tuple(rows[0])


def _made(
    maker: RecordMaker, requests: Sequence[Sequence[Any]], now_ms: int, new_id: Callable[[], str]
) -> list[Records | RowError]:
    try:
        joint = maker.events([row for rows in requests for row in rows], now_ms=now_ms, new_id=new_id)
    except RowError as error:
        if len(requests) == 1:
            return [error]
        return [made for rows in requests for made in _made(maker, [rows], now_ms, new_id)]
    if len(requests) == 1:
        return [joint]
    return [joint.part(at, at + 1) for at in range(len(requests))]
