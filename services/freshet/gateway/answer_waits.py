"""Requests that wait for what becomes of their events, until that is known, their time is over, or the gateway ends."""

import asyncio


class AnswerWaits:
    """Used where requests are answered; `end` may be called in any thread."""

    def __init__(self) -> None:
        self.ended = False
        """Whether nobody waits any more."""
        self._waiting: set[asyncio.Future[None]] = set()

    async def until(self, answered: "asyncio.Future[None]", patience_s: float) -> None:
        """Returns when all is answered, and else in time."""
        self._waiting.add(answered)
        try:
            if not self.ended:
                await asyncio.wait([answered], timeout=patience_s)
        finally:
            self._waiting.discard(answered)

    def end(self) -> None:
        """Whoever waits goes on now, and nobody waits from here on."""
        self.ended = True
        for one in list(self._waiting):
            one.get_loop().call_soon_threadsafe(_go_on, one)


def _go_on(waiting: "asyncio.Future[None]") -> None:
    if not waiting.done():
        waiting.set_result(None)
