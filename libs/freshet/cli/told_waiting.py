"""A wait that may be long does not look like one that hangs."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Final

from rich.console import Console

TELL_S: Final = 10.0
"""A wait that says nothing for longer looks like one that hangs."""


@contextmanager
def told_waiting(what: str, console: Console, tell: Callable[[str], object], tell_s: float = TELL_S) -> Iterator[None]:
    """A spinner while this lasts, where the console is a terminal; everywhere a line after `tell_s` seconds, and each
    time that the wait has doubled. `what` stands behind "for".
    """
    spinner = console.status(f"[dim]{what}[/dim]") if console.is_terminal else nullcontext()
    done = threading.Event()
    telling = threading.Thread(target=_tell, args=(what, done, tell, tell_s), name="waiting", daemon=True)
    with spinner:
        telling.start()
        try:
            yield
        finally:
            done.set()
            telling.join()


def _tell(what: str, done: threading.Event, tell: Callable[[str], object], tell_s: float) -> None:
    waited_s = pause_s = tell_s
    while not done.wait(pause_s):
        tell(f"still waiting for {what}, {waited_s:.0f} s now")
        waited_s, pause_s = 2 * waited_s, waited_s
