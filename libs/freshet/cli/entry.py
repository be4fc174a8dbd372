"""Where `freshet` starts and ends.

Ctrl-C or SIGTERM while its libraries are still being loaded ends it quietly.

It ends without what C libraries do at the end of a process. The Kafka client's threads go on until the process is gone,
and one that talks TLS while OpenSSL cleans up under it crashes: a service that had given its reason and exit code 2
then ended with SIGSEGV.
"""

import atexit
import os
import signal
import sys
from types import FrameType
from typing import Final

_INTERRUPTED: Final = 130
_TERMINATED: Final = 143


def main() -> None:
    """Entry point of all commands and services; see `freshet.cli.main`, which is imported only now."""
    ending = _Ending()
    atexit.register(ending.leave)  # the first to be registered is called last
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
        ending.code = _INTERRUPTED
        sys.exit(_INTERRUPTED)
    except SystemExit as told:
        ending.code = told.code if isinstance(told.code, int) else int(told.code is not None)
        raise
    ending.code = 0


class _Ending:
    """The exit code, and the way out: by then Python has joined its threads and called all that others registered."""

    def __init__(self) -> None:
        self.code = 1  # of an exception that nobody catches

    def leave(self) -> None:
        """End the process now. A success whose output has no room becomes a failure."""
        for stream in (sys.stdout, sys.stderr):
            if stream is None or stream.closed:
                continue
            try:
                stream.flush()
            except OSError as error:
                self.code = self.code or 1
                os.write(2, f"error: the output cannot be written: {error.strerror}.\n".encode())
        os._exit(self.code)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """At once: an exception might be caught, or turned into another one, by a library that is being imported."""
    os._exit(_INTERRUPTED)


def _end(_signal: int, _frame: FrameType | None) -> None:
    """A service that has not begun has nothing to finish."""
    os.write(2, b"SIGTERM before the service had started: nothing was read or written.\n")
    os._exit(_TERMINATED)
