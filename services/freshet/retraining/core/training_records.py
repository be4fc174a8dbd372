"""The records that retraining writes about a training that has begun."""

from collections.abc import Sequence

from freshet.contracts.logic import Announce
from freshet.contracts.training_message import Training
from freshet.pipeline.gate import GateVerdict
from freshet.retraining.core.train_job import Trained

_REASON_CHARACTERS = 2_000


def told(record: Training) -> Announce:
    """The record, with a reason that is no longer than people read."""
    if len(record.reason) > _REASON_CHARACTERS:
        record = record.model_copy(update={"reason": record.reason[:_REASON_CHARACTERS] + " …"})
    return Announce("trainings", record.pipeline, record)


def failed(begun: Training, reason: str, now_ms: int) -> Announce:
    """It led to no model."""
    return told(begun.model_copy(update={"phase": "failed", "reason": reason, "at_ms": now_ms}))


def finished(begun: Training, trained: Trained, verdict: GateVerdict, now_ms: int) -> Announce:
    """It led to a candidate, which the registry judges."""
    changes = {
        "phase": "finished",
        "from_row": trained.from_row,
        "rows": trained.rows,
        "holdout_rows": trained.holdout_rows,
        "classes": trained.classes,
        "data_digest": trained.data_digest,
        "digest": trained.digest,
        "trained_through_ms": trained.trained_through_ms,
        "metrics": trained.metrics,
        "gate": verdict.verdict,
        "clauses": verdict.clauses,
        "cpu_ms": trained.cpu_ms,
        "code": trained.code,
        "environment": trained.environment,
        "at_ms": now_ms,
    }
    return told(begun.model_copy(update=changes))


def shortened(announced: Sequence[Announce], why: str) -> list[Announce]:
    """Instead of records that are too large for their topic: the same without figures, saying so."""
    return [
        told(
            effect.message.model_copy(
                update={"classes": {}, "metrics": {}, "clauses": (), "reason": f"told in short: {why}"}
            )
        )
        for effect in announced
        if isinstance(effect.message, Training)
    ]
