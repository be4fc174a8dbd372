"""A WebSocket that follows a pipeline's predictions."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from freshet.gateway.core.tail_queue import TailQueue

_COME_AGAIN: Final = 1012
"""WebSocket's code for a service that begins anew."""


class Tail:
    """One reader."""

    def __init__(self, lost: Callable[[int], object]) -> None:
        """`lost` is told how many rows the reader was too slow for."""
        self._queue = TailQueue()
        self._lost = lost
        self._more = asyncio.Event()
        self._ended = False

    def put(self, rows: Sequence[Mapping[str, Any]], left_out: int) -> None:
        """See `TailQueue.put`."""
        if lost := self._queue.put(rows, left_out):
            self._lost(lost)
        self._more.set()

    def end(self) -> None:
        """Nothing more will come here: the reader is told to connect again."""
        self._ended = True
        self._more.set()

    async def serve(self, socket: WebSocket) -> None:
        """One JSON object a message, until the reader leaves."""
        gone = asyncio.create_task(_gone(socket))
        try:
            while not gone.done() and not self._ended:
                more = asyncio.create_task(self._more.wait())
                await asyncio.wait([gone, more], return_when=asyncio.FIRST_COMPLETED)
                more.cancel()
                self._more.clear()
                for row in self._queue.take():
                    await socket.send_text(json.dumps(row, ensure_ascii=False, allow_nan=False))
            if self._ended:
                await socket.close(_COME_AGAIN, "The pipeline was published anew, or deleted: connect again.")
        except (WebSocketDisconnect, RuntimeError):
            return  # it left while we wrote
        finally:
            gone.cancel()


async def _gone(socket: WebSocket) -> None:
    """Returns when the reader has left; what it says is ignored."""
    with suppress(WebSocketDisconnect, RuntimeError):
        while True:
            await socket.receive_text()
