"""Trainings under way: what retraining remembers and no topic holds. Losing it costs a repeat, with the same end."""

from dataclasses import replace
from typing import Any, Final, NamedTuple

from freshet.contracts.errors import FreshetError
from freshet.contracts.logic import Announce, Cancel, JobError, Outcome, Start
from freshet.contracts.training_message import Training
from freshet.models.model_error import ModelError
from freshet.pipeline.gate import judge_gate
from freshet.retraining.core import training_records
from freshet.retraining.core.train_job import Train, Trained
from freshet.retraining.core.training_state import TrainingState
from freshet.training.trainer import TrainingError

_FIRST_WAIT_MS: Final = 1_000
_MOST_TRIES: Final = 6
"""A training that nobody could try is tried again after 1, 2, 4, 8 and 16 s; then it has failed."""


class _Failed(NamedTuple):
    times: int
    again_ms: int


class Runs:
    """At most one training at a time for each pipeline."""

    def __init__(self) -> None:
        self._running: dict[str, Train] = {}
        """By pipeline, the job that was handed out."""
        self._ended: dict[str, Outcome[Trained]] = {}
        self._failed: dict[str, _Failed] = {}

    def end(self, outcome: Outcome[Any]) -> None:
        """A job has ended, with a model or with an error."""
        match outcome:
            case Outcome(Train() as job, (Trained() | None) as found, error) if self._running.get(job.pipeline) is job:
                del self._running[job.pipeline]
                self._ended[job.training] = Outcome(job, found, error)

    def go_on(self, state: TrainingState, begun: Training, now_ms: int) -> list[Announce | Start | Cancel]:
        """What follows for a training that has begun: its job, its end, or nothing yet."""
        outcome = self._ended.pop(begun.training, None)
        if outcome is not None:
            return self._ended_so(state, begun, outcome, now_ms)
        running = self._running.get(state.name)
        if state.in_force is None:
            vain = [Cancel(running.queue)] if running is not None else []
            return [*vain, training_records.failed(begun, "the pipeline was deleted.", now_ms)]
        if running is not None:
            return []
        if now_ms < self._failed.get(begun.training, _Failed(0, 0)).again_ms:
            return []
        rules = state.rules.get(begun.specification)
        if rules is None or rules.spec is None:
            why = f"specification {begun.specification}, for which it began, is not there any more."
            return [training_records.failed(begun, why, now_ms)]
        rival = state.ledger.versions.records.get(begun.champion)
        job = Train.of(begun, rules.text, rules.spec.retraining.min_rows, rival)
        versions = state.ledger.versions.records.values()
        published = (one.manifest for one in versions if one.manifest.lineage.get("training") == begun.training)
        job = self._running[state.name] = replace(job, published=next(published, None))
        return [Start(job)]

    def _ended_so(
        self, state: TrainingState, begun: Training, outcome: Outcome[Trained], now_ms: int
    ) -> list[Announce | Start | Cancel]:
        trained, error = outcome.result, outcome.error
        if trained is not None:
            rules = state.rules.get(begun.specification)
            clauses = rules.spec.retraining.gate if rules is not None and rules.spec is not None else ()
            verdict = judge_gate(clauses, trained.metrics, begun.champion)
            return self._told(outcome, training_records.finished(begun, trained, verdict, now_ms))
        assert error is not None
        tries = self._failed.get(begun.training, _Failed(0, 0)).times + 1
        if not _may_go_better(error) or tries >= _MOST_TRIES:
            return self._told(outcome, training_records.failed(begun, str(error), now_ms))
        self._failed[begun.training] = _Failed(tries, now_ms + (_FIRST_WAIT_MS << (tries - 1)))
        return []

    def _told(self, outcome: Outcome[Trained], told: Announce) -> list[Announce | Start | Cancel]:
        """Until the record is folded the end is told again: its transaction may not have been committed."""
        job = outcome.job
        assert isinstance(job, Train)
        self._ended[job.training] = outcome
        return [told]

    def forget(self, record: Training) -> None:
        """A training has its end on the topic."""
        if record.phase != "started":
            running = self._running.get(record.pipeline)
            if running is not None and running.training == record.training:
                del self._running[record.pipeline]
            self._ended.pop(record.training, None)
            self._failed.pop(record.training, None)


def _may_go_better(error: FreshetError) -> bool:
    late = isinstance(error, JobError) and error.reason == "late"
    return not (late or isinstance(error, ModelError | TrainingError))
