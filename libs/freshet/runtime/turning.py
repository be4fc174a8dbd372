"""Turns the loops of a process until it is told to stop.

Each pipeline's loop has a thread of its own. A call to Kafka may wait for half a minute, as a commit does whose
coordinator is away: meanwhile the others must poll, or their groups give their partitions to somebody else.
"""

import threading
from collections.abc import Sequence
from typing import Final

from freshet.runtime.supervised import Supervised, Turning

_POLL_S: Final = 0.1


class Turners:
    """One thread a loop; a single loop is turned by the calling thread."""

    def __init__(self, loops: Sequence[Turning], stop: threading.Event) -> None:
        self._loops, self._stop = loops, stop
        self._ended = threading.Event()
        self._crashes: list[BaseException] = []
        several = loops if len(loops) > 1 else ()
        self._threads = [threading.Thread(target=self._turn, args=(loop,), daemon=True) for loop in several]

    def run(self) -> None:
        """Turn until told to stop. Raises what a loop did not survive, or the error of one if all of them are down."""
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
        """Let every loop finish its turn, however long that takes: after this nobody else touches the loops."""
        self._ended.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _turn(self, loop: Turning) -> None:
        try:
            while not (self._stop.is_set() or self._ended.is_set()):
                loop.step(_POLL_S)
        except BaseException as error:  # raised again in the thread that runs the process
            self._crashes.append(error)
