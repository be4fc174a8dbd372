"""Reports: a worker's own state, written on another thread, so that serving never waits for it."""

import contextlib
import threading
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from freshet.runtime.bus.protocol import BusError, Producer, Send

GOODBYE_S: Final = 2.0
"""How long a worker that stops waits for its last report. Without it others notice after three missed beats."""


class Reports(Protocol):
    """Takes single records, of which only the newest of each key matters."""

    def put(self, send: Send) -> None:
        """Write this record soon, instead of an older one under the same key that still waits. Never fails."""

    def close(self) -> None:
        """Write what still waits, if that is quick, and free everything."""


class BackgroundReports:
    """Writes on a thread of its own. A record that cannot be written is dropped, as the next one replaces it."""

    def __init__(self, producer: Callable[[], Producer]) -> None:
        """`producer` makes a client; after a failure another one is made, so that nothing old is sent later."""
        self._make = producer
        self._waiting: dict[tuple[str, bytes | None], Send] = {}
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._write_all, name="reports", daemon=True)
        self._thread.start()

    def put(self, send: Send) -> None:
        """See `Reports`. Never blocks."""
        with self._changed:
            self._waiting[send.role, send.keys[0]] = send
            self._changed.notify()

    def close(self) -> None:
        """See `Reports`."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(GOODBYE_S)

    def _write_all(self) -> None:
        log = structlog.get_logger("reports")
        producer: Producer | None = None
        while (send := self._next()) is not None:
            try:
                producer = producer or self._make()
                producer.send(send)
            except BusError as error:
                log.warning("dropped", role=send.role, error=str(error))
                if producer is not None:
                    producer.close()
                producer = None
        if producer is not None:
            producer.close()

    def _next(self) -> Send | None:
        """The record that has waited longest; None when all is written and no more will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            return self._waiting.pop(next(iter(self._waiting))) if self._waiting else None


class InlineReports:
    """Writes each record at once in the calling thread: deterministic, for tests."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer

    def put(self, send: Send) -> None:
        """See `Reports`."""
        with contextlib.suppress(BusError):
            self._producer.send(send)

    def close(self) -> None:
        """See `Reports`."""
        self._producer.close()
