"""Waiting for an answer with a person at the other end: who is not there is said after five seconds."""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

from freshet.ledger.ledger import Ledger
from freshet.operate.connection import Connection
from freshet.operate.operate_error import LocalError
from freshet.operate.pipeline_view import View
from freshet.operate.presence import absence, presence
from freshet.operate.roll_call import RollCall, roll_call
from freshet.runtime.bus.protocol import RetriableError

T = TypeVar("T")

_QUIET_S: Final = 5.0


def patiently(
    view: View, connection: Connection, what: str, found: Callable[[View], T | None], timeout_s: float, *, hint: str
) -> T:
    """`View.wait` that says after five seconds which services are missing; `hint` says what becomes of the request.

    A broker that goes away meanwhile is waited for, too. Raises LocalError if nothing comes in time.
    """
    try:
        return view.wait(what, found, min(_QUIET_S, timeout_s))
    except LocalError:
        if timeout_s <= _QUIET_S:
            raise
    return view.wait(what, _Told(connection, found, hint), timeout_s - _QUIET_S)


class _Told(Generic[T]):
    """What is waited for; who is missing is told once, as soon as the broker can say it."""

    def __init__(self, connection: Connection, found: Callable[[View], T | None], hint: str) -> None:
        self._connection, self._found, self._hint = connection, found, hint
        self._told = self._away = False

    def __call__(self, view: View) -> T | None:
        """What `found` finds. Raises RetriableError while Kafka does not answer, which is told once."""
        try:
            result = self._found(view)
            if result is None and not self._told:
                self._tell(view.pipeline)
        except RetriableError as error:
            if not self._away:
                self._away = True
                self._connection.say(f"Kafka does not answer now, and is waited for: {error}")
                self._connection.say(self._hint)
            raise
        return result

    def _tell(self, pipeline: str) -> None:
        called = roll_call(self._connection.bus(), say=self._connection.say)
        self._told = True
        for line in missing_for_decision(called, pipeline):
            self._connection.say(line)
        self._connection.say(self._hint)


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
    ingestion, inference = (
        absence(presence(called.ledger, service, pipeline, called.now_ms)) for service in ("ingestion", "inference")
    )
    return [said for said in (ingestion, missing_model(called.ledger, pipeline), inference) if said]


def missing_model(ledger: Ledger, pipeline: str) -> str:
    """A sentence if no version serves, so that events wait; else nothing. The ledger must hold the rollouts."""
    serving = ledger.of(pipeline).epochs.serving
    return "" if serving else "No model answers yet: `freshet model publish` one, or promote one."
