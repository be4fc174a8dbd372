"""Where `freshet` starts: Ctrl-C or SIGTERM while its libraries are still being loaded ends it quietly."""

import os
import signal
import sys
from types import FrameType
from typing import Final

_INTERRUPTED: Final = 130
_TERMINATED: Final = 143


def main() -> None:
    """Entry point of all commands and services; see `freshet.cli.main`, which is imported only now."""
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else whoever started us ignores it
    if ours:
        signal.signal(signal.SIGINT, _leave)
    if "run" in sys.argv and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(
            signal.SIGTERM, _end
        )  # until the service sets its own; as a container's first process it has none
    from freshet.cli.main import main as command  # noqa: PLC0415 (from here on it can be interrupted quietly)

    if ours:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        command()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """At once: an exception might be caught, or turned into another one, by a library that is being imported."""
    os._exit(_INTERRUPTED)


def _end(_signal: int, _frame: FrameType | None) -> None:
    """A service that has not begun has nothing to finish."""
    os.write(2, b"SIGTERM before the service had started: nothing was read or written.\n")
    os._exit(_TERMINATED)
