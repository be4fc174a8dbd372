"""Makes the records of all requests that came in one turn of the loop together."""

import asyncio
import time
import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

from freshet.client.event_records import RecordMaker, Records
from freshet.gateway.joint_records import MOST_REQUESTS, joint_records


class _Request(NamedTuple):
    rows: Sequence[Any]
    made: "asyncio.Future[Records]"


class RecordMaking:
    """Nobody waits for others to come. Under load more of them come in one turn, so that each costs less."""

    def __init__(self, maker: RecordMaker) -> None:
        self._maker = maker
        self._waiting: list[_Request] = []

    async def events(self, rows: Sequence[Any]) -> Records:
        """The records of these rows. Raises RowError."""
        loop = asyncio.get_running_loop()
        request = _Request(rows, loop.create_future())
        if not self._waiting:
            loop.call_soon(self._make)
        self._waiting.append(request)
        return await request.made

    def _make(self) -> None:
        now, self._waiting = self._waiting[:MOST_REQUESTS], self._waiting[MOST_REQUESTS:]
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._make)
        try:
            rows = [one.rows for one in now]
            made: Sequence[Records | Exception] = joint_records(self._maker, rows, now_ms=now_ms(), new_id=_new_id)
        except Exception as error:  # a fault of ours ends these requests, and no others
            made = [error] * len(now)
        for request, records in zip(now, made, strict=True):
            if request.made.cancelled():  # the caller has left
                continue
            if isinstance(records, Records):
                request.made.set_result(records)
            else:
                request.made.set_exception(records)


def now_ms() -> int:
    """Now, for events and labels that name no time."""
    return time.time_ns() // 1_000_000


def _new_id() -> str:
    return str(uuid.uuid4())
