"""Delays Ctrl-C while something is done that must also be counted."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass(slots=True)
class Held:
    """What happened meanwhile."""

    asked: bool = False
    """Whether Ctrl-C was pressed. A block that takes longer than a moment should then end."""


@contextmanager
def interrupts_held() -> Iterator[Held]:
    """Until the block ends SIGINT is only noted; then it goes to the handler that was there (KeyboardInterrupt, say).

    For calls into the Kafka client: it runs our delivery callbacks, and a KeyboardInterrupt that rises inside one of
    them is lost and comes back as a SystemError. Also for a send and the count of what was sent, which belong together.
    Blocks nest. Outside the main thread, where Python handles no signals, nothing is changed.
    """
    held = Held()
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield held
        return
    where: FrameType | None = None

    def note(_: int, frame: FrameType | None) -> None:
        nonlocal where
        held.asked, where = True, frame

    signal.signal(signal.SIGINT, note)
    try:
        yield held
    finally:
        signal.signal(signal.SIGINT, before)
        if held.asked:
            before(signal.SIGINT, where)
