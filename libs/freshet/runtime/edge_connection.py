"""One connection to the gateway or the console: whoever sends half a request, or rubbish behind one, is left."""

import asyncio
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S: Final = 10.0
"""How long the head of a request may take to come, in seconds, however its bytes are dealt out."""

_BEFORE_AN_ANSWER: Final = ("IDLE", "SEND_RESPONSE")
"""States of h11, which is uvicorn's dependency and not ours."""


class EdgeConnection(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, which by itself waits for ever for the rest of a request's head.

    A connection counts against the server's limit as long as it is open, so a few thousand that say nothing would shut
    everybody else out.
    """

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A head is due."""
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Take it; if it completes no head, that stays due when it was."""
        super().data_received(data)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is due any more."""
        self._expect_nothing()
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

    def _expect_head(self) -> None:
        if not self._waits():
            self._expect_nothing()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_S, self._leave)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _leave(self) -> None:
        self._deadline = None
        if self._waits():
            self.transport.close()
