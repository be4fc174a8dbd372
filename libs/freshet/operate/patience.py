"""Waiting for an answer with a person at the other end: who is not there is said after five seconds."""

from collections.abc import Callable
from typing import Final, TypeVar

from freshet.operate.connection import Connection
from freshet.operate.operate_error import LocalError
from freshet.operate.pipeline_view import View
from freshet.operate.presence import absence, presence
from freshet.operate.roll_call import RollCall, roll_call

T = TypeVar("T")

_QUIET_S: Final = 5.0


def patiently(
    view: View, connection: Connection, what: str, found: Callable[[View], T | None], timeout_s: float, *, hint: str
) -> T:
    """`View.wait` that says after five seconds which services are missing; `hint` says what becomes of the request.

    Raises LocalError if nothing comes in time.
    """
    try:
        return view.wait(what, found, min(_QUIET_S, timeout_s))
    except LocalError:
        if timeout_s <= _QUIET_S:
            raise
    for line in missing_for_decision(roll_call(connection.bus(), say=connection.say), view.pipeline):
        connection.say(line)
    connection.say(hint)
    return view.wait(what, found, timeout_s - _QUIET_S)


def missing_for_decision(called: RollCall, pipeline: str) -> list[str]:
    """A sentence for each service that a decision waits for and that is not there, and for each worker that is lost."""
    registry, workers = (
        presence(called.ledger, service, pipeline, called.now_ms) for service in ("registry", "inference")
    )
    said = [absence(registry) or "The registry is running; it has not decided yet."]
    if workers.silent:
        said.append(f"Inference for {pipeline!r}: {workers.told}.")
    return said


def missing_for_answer(called: RollCall, pipeline: str) -> list[str]:
    """A sentence for each of those without whom no event is answered: ingestion, a model, inference.

    `called` must hold the rollouts.
    """
    serving = called.ledger.of(pipeline).epochs.serving
    ingestion, inference = (
        absence(presence(called.ledger, service, pipeline, called.now_ms)) for service in ("ingestion", "inference")
    )
    model = "" if serving else "No model answers yet: `freshet model publish` one, or promote one."
    return [said for said in (ingestion, model, inference) if said]
