"""Turns the loops of a process until it is told to stop.

Each pipeline's loop has a thread of its own. A call to Kafka may wait for half a minute, as a commit does whose
coordinator is away: meanwhile the others must poll, or their groups give their partitions to somebody else.
"""

import threading
import time
from collections.abc import Sequence
from typing import Final

import structlog

from freshet.runtime.supervised import Supervised, Turning

_POLL_S: Final = 0.1
_PATIENCE_S: Final = 1.0
"""A loop that takes longer than this to end is named in the log, as the process may end before it."""


class Turners:
    """One thread a loop; a single loop is turned by the calling thread."""

    def __init__(self, loops: Sequence[Turning], stop: threading.Event) -> None:
        self._loops, self._stop = loops, stop
        self._ended = threading.Event()
        self._crashes: list[BaseException] = []
        self._closing: list[BaseException] = []
        several = loops if len(loops) > 1 else ()
        self._threads = [threading.Thread(target=self._live, args=(loop,), daemon=True) for loop in several]

    def run(self) -> None:
        """Turn until told to stop. Raises what ended a loop for good, or the error of one if all of them are down."""
        for thread in self._threads:
            thread.start()
        while not self._stop.is_set():
            if self._threads:
                self._stop.wait(_POLL_S)
            else:
                self._loops[0].step(_POLL_S)
            if self._crashes:
                raise self._crashes[0]
            failed = [loop.error for loop in self._loops if isinstance(loop, Supervised) and loop.failed]
            if failed and len(failed) == len(self._loops) and failed[0] is not None:
                raise failed[0]

    def end(self) -> None:
        """Let every loop finish its turn and close; raises what the first one to fail at that raised.

        Each closes in its own thread, so that a blocked one does not keep the others from leaving their groups. There
        is no deadline here: that of the process also ends whatever still blocks.
        """
        self._ended.set()
        running = [thread for thread in self._threads if thread.ident is not None]
        if not running:
            for loop in self._loops:
                self._close(loop)
        patient_until_s = time.monotonic() + _PATIENCE_S
        for thread in running:
            thread.join(max(0.0, patient_until_s - time.monotonic()))
        self._name_the_late()
        for thread in running:
            thread.join()
        if self._closing:
            raise self._closing[0]

    def _name_the_late(self) -> None:
        late = [loop for loop, thread in zip(self._loops, self._threads, strict=False) if thread.is_alive()]
        if late:
            names = sorted({loop.pipeline for loop in late if isinstance(loop, Supervised)})
            structlog.get_logger("main").warning("still_in_a_call", pipelines=names)

    def _live(self, loop: Turning) -> None:
        if isinstance(loop, Supervised):
            structlog.contextvars.bind_contextvars(service=loop.service, pipeline=loop.pipeline)
        try:
            while not (self._stop.is_set() or self._ended.is_set()):
                loop.step(_POLL_S)
        except BaseException as error:  # raised again in the thread that runs the process
            self._crashes.append(error)
        self._close(loop)

    def _close(self, loop: Turning) -> None:
        try:
            loop.close()
        except BaseException as error:  # raised once the others have closed too
            self._closing.append(error)
