"""What a run that is told to end leaves behind: nothing that it started, the local Kafka neither."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Final

from freshet.lab import broker

_TO_END: Final = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""What a service manager sends, and what a terminal sends as it is closed."""


@contextmanager
def stops_its_broker(home: Path, *, say: Callable[[str], None]) -> Iterator[None]:
    """If the block is told to end, the broker of the folder is stopped, unless it was there before. Its data stay.

    SIGTERM and SIGHUP rise in the block as Ctrl-C does, so that it frees what it holds; one that ends orderly thereupon
    still ends with KeyboardInterrupt here. After any other end the broker runs on. Only for the main thread.
    """
    was_there = broker.status(home).state in ("running", "external")
    told = False

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal told
        told = True
        interrupt = signal.getsignal(signal.SIGINT)  # perhaps one that waits until the Kafka client has returned
        (interrupt if callable(interrupt) else signal.default_int_handler)(number, frame)

    # what whoever started us ignores, as nohup does, stays ignored
    before = {number: signal.signal(number, end) for number in _TO_END if signal.getsignal(number) == signal.SIG_DFL}
    try:
        yield
        if told:
            raise KeyboardInterrupt
    except BaseException as error:
        if not was_there and (told or isinstance(error, KeyboardInterrupt)) and broker.down(home):
            with suppress(OSError):  # the terminal may be gone
                say("It was told to end, and has stopped the Kafka that it had started. The topics stay on disk.")
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
