"""Server-sent events: to each open page the parts that changed, soon after each snapshot."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Final

from freshet.console.page_parts import PartsCache
from freshet.console.snapshot import Snapshot

MOST_STREAMS: Final = 100
"""Open pages; more are refused."""
LOOK_S: Final = 0.2
"""How often it is looked whether there is a newer snapshot, for each open page: one comparison."""
_BEAT_S: Final = 2.0
"""A page is told at least so often that the console lives, and how old its news are."""


async def changes(
    cache: PartsCache, newest: Callable[[], Snapshot | None], after: int, stopped: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """Events for one page that has the parts of snapshot `after`; its id is the number of the snapshot.

    Nothing is queued: whoever is slow gets the newest parts, once, when they have read what was sent.
    """
    yield b"retry: 1000\n\n"
    silent_s = _BEAT_S
    while not stopped():
        snapshot = newest()
        parts: dict[str, str] = {}
        if snapshot is not None and snapshot.number > after:
            parts = cache.since(snapshot, after)
            after = snapshot.number
        if snapshot is not None and (parts or silent_s >= _BEAT_S):
            yield event(after, {"now_ms": snapshot.now_ms, "trouble": snapshot.overview.kafka.trouble, "parts": parts})
            silent_s = 0.0
        await asyncio.sleep(LOOK_S)
        silent_s += LOOK_S


def event(number: int, document: object) -> bytes:
    """One event."""
    return f"id: {number}\ndata: {json.dumps(document, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()
