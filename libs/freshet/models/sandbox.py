"""Runs one of our modules in a child process that knows nothing, and comes back in bounded time."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from freshet.contracts.errors import FreshetError
from freshet.models.confine import hide_secrets

ENVIRONMENT: Final = {
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # pyarrow, which scikit-learn and LightGBM import if it is there
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "ORT_DISABLE_TELEMETRY": "1",
    "PYTHONHASHSEED": "0",
}
"""All that a child has: no credentials, and no thread that a namespace or a limit would trip over."""
_ERROR_CHARS: Final = 800
_REHEARSAL_S: Final = 30.0
_LOOK_S: Final = 0.2


class SandboxError(FreshetError):
    """The sandbox did not start, so nothing was judged: try again, or look at the installation."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How the child ended: the lines that it wrote, and its exit code: negative for a signal, None if we killed it."""

    lines: tuple[Mapping[str, Any], ...]
    code: int | None

    @property
    def by_signal(self) -> str:
        """Name of the signal that ended it, '' if none did."""
        return signal.Signals(-self.code).name if self.code is not None and self.code < 0 else ""


def run_child(
    module: str,
    request: Mapping[str, Any],
    data: bytes,
    wall_s: float,
    stopped: Callable[[], bool] = lambda: False,
    *,
    settings: Mapping[str, str] | None = None,
) -> Ending:
    """Run `python -s -P -m module` with the request (one line of JSON) and the data on its standard input.

    Its environment is ours alone, and what `settings` adds to it: nothing of the parent's.

    Blocks for at most `wall_s`, then kills the child. It writes lines of JSON, the first of which says that it is
    ready: from then on, however it ends is a finding. Raises SandboxError if it never came to that, or if nobody waits
    for the finding any more: whether it `stopped` is asked a few times a second.
    """
    hide_secrets()
    try:
        child = subprocess.Popen(
            [sys.executable, "-s", "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**ENVIRONMENT, **(settings or {})},
            cwd="/",
        )
    except OSError as error:
        raise SandboxError(
            f"the sandbox cannot be started: {error}. Free memory or processes, then try again."
        ) from error
    with child, _watched(child, stopped):
        try:
            out, errors = child.communicate(json.dumps(request).encode() + b"\n" + data, timeout=wall_s)
            code: int | None = child.returncode
        except subprocess.TimeoutExpired:
            child.kill()
            out, errors = child.communicate()
            code = None
    return ending_of(out, errors, code)


def ending_of(out: bytes, errors: bytes, code: int | None) -> Ending:
    """What a child's two streams and its code amount to. Raises SandboxError if it never came to say a word."""
    lines = tuple(_lines(out))
    if not lines:
        why = errors.decode(errors="replace")[-_ERROR_CHARS:].strip() or f"exit code {code}, no message"
        raise SandboxError(f"the sandbox did not start, is the extra [registry] installed? It says: {why}")
    return Ending(lines, code)


@contextmanager
def _watched(child: subprocess.Popen[bytes], stopped: Callable[[], bool]) -> Iterator[None]:
    """Kill the child as soon as nobody waits for it any more, and say so. Its streams are busy meanwhile."""
    over, in_vain = threading.Event(), threading.Event()

    def watch() -> None:
        while not over.wait(_LOOK_S):
            if stopped():
                in_vain.set()
                child.kill()
                return

    watcher = threading.Thread(target=watch, name="sandbox", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
    if in_vain.is_set():
        raise SandboxError("the sandbox was ended before its verdict: nobody waits for it any more.")


def unguarded() -> tuple[str, ...]:
    """What the sandbox could do on this machine though it should not, in plain words. Blocks for under a second."""
    ending = run_child("freshet.models.confine", {}, b"", _REHEARSAL_S)
    return tuple(map(str, ending.lines[-1].get("unguarded", ())))


def _lines(out: bytes) -> list[Mapping[str, Any]]:
    """The lines that are JSON objects; a child that was killed may leave a part of one, a hostile one anything."""
    found = []
    for line in out.splitlines():
        try:
            found.append(json.loads(line))
        except (ValueError, RecursionError):
            continue
    return [line for line in found if isinstance(line, dict)]
