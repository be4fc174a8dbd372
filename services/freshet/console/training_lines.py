"""Trainings, approvals and dead letters as the commands of the terminal tell them, in the form that the core takes."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Final

from freshet.console.core.aside import COLUMNS, Letters, ReasonRow
from freshet.console.core.doing import TrainingLine
from freshet.console.core.folded import Folded
from freshet.operate.model_history import Approval, model_history
from freshet.operate.redrive import DeadRecord, groups
from freshet.operate.training_runs import Run, runs_of

_COLUMN_MS: Final = 600_000


def training_lines(folded: Folded, pipeline: str) -> list[TrainingLine]:
    """The trainings of a pipeline, in the order in which they began."""
    facts = folded.facts(pipeline)
    told = chain(facts.trainings, facts.models.values(), facts.decisions)
    return [_line(run) for run in runs_of(told, pipeline)]


def _line(run: Run) -> TrainingLine:
    last = run.last
    return TrainingLine(
        training=last.training,
        phase=last.phase,
        trigger=last.trigger,
        trigger_id=last.trigger_id,
        by=last.by,
        began_ms=run.began_ms,
        at_ms=last.at_ms,
        rows=last.rows,
        holdout_rows=last.holdout_rows,
        trained_through_ms=last.trained_through_ms,
        trainer=last.trainer,
        version=run.version,
        outcome=run.outcome,
        gate=last.gate,
        clauses=last.clauses,
        cpu_ms=last.cpu_ms,
        metrics=last.metrics,
        champion=last.champion,
        reason=last.reason,
    )


def approval_of(folded: Folded, pipeline: str) -> str:
    """Who let the live epoch go live, as a phrase; empty before the first."""
    epochs = model_history(folded.of(pipeline)).epochs
    return approval_phrase(epochs[-1].approval) if epochs else ""


def approval_phrase(approval: Approval) -> str:
    """Who let an epoch go live, in a few words."""
    if approval.kind == "policy":
        return f"rollout policy {approval.what}"
    if approval.kind == "registry":
        return f"the registry: {approval.what}"
    return f"{approval.by or 'somebody'}, by {approval.what}"


def letters_of(records: Iterable[DeadRecord], now_ms: int, *, redriven: int, capped: bool) -> Letters:
    """What was set aside, by reason."""
    found = list(records)
    rows = [
        ReasonRow(
            reason=group.reason,
            count=group.count,
            kinds=len(group.kinds),
            first_ms=group.first_ms,
            last_ms=group.last_ms,
            course=_course([record.timestamp_ms for record in found if record.reason == group.reason], now_ms),
            place=group.place,
        )
        for group in groups(iter(found))
    ]
    return Letters(now_ms, tuple(rows), redriven, capped)


def _course(times_ms: Sequence[int], now_ms: int) -> tuple[int, ...]:
    first = now_ms // _COLUMN_MS - COLUMNS + 1
    columns = [0] * COLUMNS
    for at_ms in times_ms:
        if 0 <= (column := at_ms // _COLUMN_MS - first) < COLUMNS:
            columns[column] += 1
    return tuple(columns)
