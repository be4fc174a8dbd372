"""Ends the process when a call that is bounded on paper does not come back.

librdkafka 2.16 can wait without end inside `send_offsets_to_transaction` when a broker dies, whatever timeout it was given
(its issues 5456 and 5511, both open). A process that hangs there keeps its partitions and answers nothing; one that ends is
restarted, and its successor settles what it left open.
"""

import faulthandler
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog

EXIT_STUCK: Final = 72
_LOOK_S: Final = 0.5


class Watchdog:
    """Watches one thread's calls, one at a time. Arming costs two attribute writes."""

    def __init__(self) -> None:
        self._armed: tuple[float, str] | None = None
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    @contextmanager
    def limit(self, seconds: float, doing: str) -> Iterator[None]:
        """End the process, with every thread's stack on stderr, if the block is not left within that time."""
        self._armed = (time.monotonic() + seconds, doing)
        try:
            yield
        finally:
            self._armed = None

    def _watch(self) -> None:
        while True:
            time.sleep(_LOOK_S)
            armed = self._armed
            if armed is not None and time.monotonic() > armed[0]:
                structlog.get_logger("watchdog").error("stuck", doing=armed[1])
                faulthandler.dump_traceback()
                os._exit(EXIT_STUCK)
