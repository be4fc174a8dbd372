"""One connection to the gateway or the console: whoever sends half a request, or takes no answer, is left."""

import asyncio
import socket
import struct
import time
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S: Final = 10.0
"""How long the head of a request may take to come, in seconds, however its bytes are dealt out."""
TAKE_S: Final = 15.0
"""How often it is looked whether a caller takes what it asked for, in seconds."""
TAKE_BYTES: Final = 8_192
"""What a caller takes in that time at least, if so much is there for it."""
HELD_BYTES: Final = 65_536
"""What the system holds of an answer that is not taken. It goes on in steps of a third of that or so, which a caller
takes in less than `TAKE_S`; and left to itself it holds megabytes for each.
"""
SPARE: Final = 150
"""Of the limit, what is kept for connections that come while others are being closed for them. Only where all of it is
taken up by requests under way is a request refused, with 503; and further connections without an answer.
"""

_BEFORE_AN_ANSWER: Final = ("IDLE", "SEND_RESPONSE")
"""States of h11, which is uvicorn's dependency and not ours."""


class EdgeConnection(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, which by itself waits for ever for the rest of a request's head, and for a caller
    to take its answer; and which accepts every connection, whatever its limit is.

    A connection counts against that limit as long as it is open, and is a descriptor of the process. So a few thousand
    that say nothing, or take nothing, would shut everybody else out.
    """

    _deadline: asyncio.TimerHandle | None = None
    _since_s = 0.0
    """Since when a head is due."""
    _taking: asyncio.TimerHandle | None = None
    _left = 0
    """Bytes that were still to be taken when it was last looked."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A head is due; where there are too many, whoever has said nothing for longest makes room."""
        super().connection_made(transport)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, HELD_BYTES)
        transport.set_write_buffer_limits(high=0)  # so that we hear of all that is not taken, however little
        self._expect_head()
        most = self.limit_concurrency
        if most is not None and len(self.connections) > most - SPARE:
            self._make_room(most)

    def data_received(self, data: bytes) -> None:
        """Take it; if it completes no head, that stays due when it was."""
        super().data_received(data)
        self._expect_head()

    def pause_writing(self) -> None:
        """Something waits to be taken."""
        super().pause_writing()
        if self._taking is None:
            self._expect_taking()

    def resume_writing(self) -> None:
        """All was taken."""
        super().resume_writing()
        self._expect_no_taking()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is due any more."""
        self._expect_nothing()
        self._expect_no_taking()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; behind an answer that is under way there is no room for another one."""
        if self.conn.our_state.__name__ in _BEFORE_AN_ANSWER:
            super().send_400_response(msg)
        else:
            self.transport.close()

    def _waits(self) -> bool:
        ours = self.transport.get_protocol() is self  # else it has become a WebSocket
        return ours and bool(getattr(self.cycle, "response_complete", True))  # there is no cycle at first

    def _make_room(self, most: int) -> None:
        waiting = [one for one in self.connections if isinstance(one, EdgeConnection) and one._deadline is not None]
        oldest = min(waiting, key=lambda one: one._since_s)
        if oldest is not self:
            oldest._expect_nothing()
            oldest.transport.abort()
        elif len(self.connections) > most:
            self.transport.abort()

    def _expect_head(self) -> None:
        if not self._waits():
            self._expect_nothing()
        elif self._deadline is None:
            self._since_s = time.monotonic()
            self._deadline = self.loop.call_later(HEAD_S, self._leave)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _leave(self) -> None:
        self._deadline = None
        if self._waits():
            self.transport.close()

    def _expect_taking(self) -> None:
        self._left = self.transport.get_write_buffer_size()
        self._taking = self.loop.call_later(TAKE_S, self._look_what_was_taken)

    def _expect_no_taking(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def _look_what_was_taken(self) -> None:
        left, self._taking = self.transport.get_write_buffer_size(), None
        if left and self._left - left < TAKE_BYTES:
            # `close` would wait until all was taken, and so would the system, on its own account
            at_once = struct.pack("ii", 1, 0)
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            self.transport.abort()
        elif left:
            self._expect_taking()
