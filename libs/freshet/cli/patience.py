"""Waiting for an answer with a person at the other end: who is not there is said after five seconds."""

from collections.abc import Callable
from typing import Final, TypeVar

from freshet.cli.output import say
from freshet.cli.presence import absence, presence
from freshet.cli.roll_call import roll_call
from freshet.operate.errors import LocalError
from freshet.operate.view import View
from freshet.runtime.bus.protocol import Bus

T = TypeVar("T")

_QUIET_S: Final = 5.0


def patiently(view: View, bus: Bus, what: str, found: Callable[[View], T | None], timeout_s: float, *, hint: str) -> T:
    """`View.wait` that says after five seconds which services are missing; `hint` says what becomes of the request.

    Raises LocalError if nothing comes in time.
    """
    try:
        return view.wait(what, found, min(_QUIET_S, timeout_s))
    except LocalError:
        if timeout_s <= _QUIET_S:
            raise
    for line in missing(bus, view.pipeline):
        say(line)
    say(hint)
    return view.wait(what, found, timeout_s - _QUIET_S)


def missing(bus: Bus, pipeline: str) -> list[str]:
    """A sentence for each service that a decision waits for and that is not there, and for each worker that is lost."""
    called = roll_call(bus)
    registry, workers = (
        presence(called.ledger, service, pipeline, called.now_ms) for service in ("registry", "inference")
    )
    said = [absence(registry) or "The registry is running; it has not decided yet."]
    if workers.silent:
        said.append(f"Inference for {pipeline!r}: {workers.told}.")
    return said
