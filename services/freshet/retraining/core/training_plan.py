"""What follows from one occasion: a training on certain rows, a reason why there is none, or nothing yet. Pure."""

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Literal

from freshet.contracts.training_message import Training
from freshet.pipeline import PipelineSpec
from freshet.pipeline.retraining import RetrainingSpec
from freshet.pipeline.trigger import Occasion
from freshet.retraining.core.train_job import Measured
from freshet.retraining.core.training_state import Specification, TrainingState

_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class RowRange:
    """The rows of a training: it learns from [first, cut) and is tried on [cut, end) of the labelled log."""

    first: int
    cut: int
    end: int

    @property
    def rows(self) -> int:
        """Rows that it learns from."""
        return self.cut - self.first

    def teaches(self, late_rows: int) -> int:
        """Rows that are left to learn from where labels come so many rows late: see `freshet.retraining.data_set`."""
        middle = self.end - (self.end - self.cut) // 2
        return min(self.rows, middle - late_rows - self.first)


_NO_ROWS: Final = RowRange(0, 0, 0)


def answer(
    state: TrainingState, rules: Specification, occasion: Occasion, measured: Measured, *, now_ms: int, code: str
) -> Training | None:
    """The record that answers this occasion: a start, or that it was skipped. None while it has to wait.

    `measured` is the log after the occasion was known. An alarm waits until there is enough to learn from since the
    change, also where labels are late.
    """
    spec = rules.spec
    if spec is None:
        trouble = f"the pipeline's specification {rules.number} cannot be read: {rules.trouble}"
        return skipped(state, rules, occasion, trouble, now_ms=now_ms)
    plan = _range(spec.retraining, occasion, measured)
    start = _record(state, rules, occasion, now_ms, phase="started", plan=plan, through=measured.through, code=code)
    reason = occasion.objection or _covered(state, occasion, measured)
    grows = occasion.from_row and plan.end - plan.first < spec.retraining.max_rows
    if not reason and grows and plan.teaches(measured.late_rows) < spec.retraining.min_rows:
        return None
    reason = (
        reason
        or _too_little(spec.retraining, measured, plan)
        or _same(state, start, measured)
        or (_too_soon(state, spec.retraining, measured, now_ms) if not occasion.by else "")
        or (_told(spec, plan, start) if occasion.dry_run else "")
    )
    return skipped(state, rules, occasion, reason, now_ms=now_ms) if reason else start


def skipped(
    state: TrainingState, rules: Specification | None, occasion: Occasion, reason: str, *, now_ms: int
) -> Training:
    """The record that there is no training, and why."""
    return _record(state, rules, occasion, now_ms, phase="skipped", reason=reason)


def _record(
    state: TrainingState,
    rules: Specification | None,
    occasion: Occasion,
    now_ms: int,
    *,
    phase: Literal["started", "skipped"],
    reason: str = "",
    plan: RowRange = _NO_ROWS,
    through: int = -1,
    code: str = "",
) -> Training:
    """The first record on an occasion; its id follows from all that decides what the training learns."""
    spec = rules.spec if rules is not None else None
    trainer = spec.retraining.trainer if spec is not None else None
    champion = state.champion if phase == "started" else None
    about: dict[str, Any] = {
        "pipeline": state.name,
        "trigger": occasion.kind,
        "trigger_id": occasion.id,
        "specification": rules.number if rules is not None else 0,
        "trainer": trainer.kind if trainer is not None else "",
        "params": trainer.parameters if trainer is not None else {},
        "seed": spec.retraining.seed if spec is not None else 0,
        "code": code,
        "from_row": plan.first,
        "cut_row": plan.cut,
        "end_row": plan.end,
        "through": through,
    }
    return Training(
        **about,
        training=sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:32],
        phase=phase,
        reason=reason,
        environment="",
        trained_through_ms=0,
        rows=0,
        holdout_rows=0,
        classes={},
        data_digest="",
        digest="",
        champion=champion.version if champion is not None else "",
        metrics={},
        gate="none",
        clauses=(),
        cpu_ms=0,
        at_ms=now_ms,
        by=occasion.by,
    )


def _range(spec: RetrainingSpec, occasion: Occasion, measured: Measured) -> RowRange:
    first = min(max(occasion.from_row, measured.rows - spec.max_rows, 0), measured.rows)
    held_out = int((measured.rows - first) * spec.holdout)
    return RowRange(first, measured.rows - held_out, measured.rows)


def _covered(state: TrainingState, occasion: Occasion, measured: Measured) -> str:
    if not occasion.end_row:
        return ""
    if occasion.at_ms and occasion.at_ms < measured.since_ms:
        return "it is about rows that the labelled log no longer has: they have expired, or the log was made anew."
    if occasion.end_row > measured.rows:
        return f"it is about rows up to {occasion.end_row:,}, and the log was made anew: it has {measured.rows:,}."
    covering = (
        done
        for done in state.trainings.done(measured)
        if done.end_row >= occasion.end_row and done.from_row >= occasion.from_row  # else it has learned how it was
    )
    newer = next((done for done in covering if not state.vain(done)), None)
    return f"training {newer.training} has taken in its rows, up to row {newer.end_row:,}." if newer is not None else ""


def _too_little(spec: RetrainingSpec, measured: Measured, plan: RowRange) -> str:
    if plan.rows >= spec.min_rows:
        return ""
    return (
        f"too few rows: the labelled log has {measured.rows:,}, of which {plan.rows:,} are to learn from, and at least "
        f"{spec.min_rows:,} are wanted (min_rows)."
    )


def _same(state: TrainingState, start: Training, measured: Measured) -> str:
    """A training on the same rows in the same way would give the same model."""
    wanted = _way(start)
    for done in state.trainings.done(measured):
        if done.phase == "finished" and _way(done) == wanted and not state.vain(done):
            return (
                f"training {done.training} has learned from the same rows in the same way: it would be the same model."
            )
    return ""


def _way(record: Training) -> tuple[object, ...]:
    return (
        record.specification,
        record.trainer,
        record.params,
        record.seed,
        record.code,
        record.cut_row,
        record.end_row,
        record.through,
    )


def _too_soon(state: TrainingState, spec: RetrainingSpec, measured: Measured, now_ms: int) -> str:
    # one whose model was refused for its key or a busy machine has not used up the occasion for another
    last = next((done for done in state.trainings.done(measured) if not state.vain(done)), None)
    since = measured.rows - last.end_row if last is not None else 0
    if last is not None and since < spec.cool_down_rows:
        return (
            f"{since:,} rows have come since training {last.training}, and {spec.cool_down_rows:,} are to come before "
            "the next (cool_down_rows)."
        )
    begun = state.trainings.since(now_ms - _DAY_MS)
    if begun >= spec.most_per_day:
        return f"{begun} trainings have begun within 24 hours, and that is all there may be (most_per_day)."
    return ""


def _told(spec: PipelineSpec, plan: RowRange, start: Training) -> str:
    rival = f"compared with {start.champion}" if start.champion else "compared with nothing, since no version answers"
    demands = "; ".join(clause.demand for clause in spec.retraining.gate)
    approval = ", and `freshet model promote` must approve" if spec.retraining.approval == "required" else ""
    return (
        f"dry run: {start.trainer} would learn from rows {plan.first:,} to {plan.cut:,} and be tried on those up to "
        f"{plan.end:,}, {rival}. The gate asks for: {demands or 'nothing'}. Then the rollout policy "
        f"{spec.rollout.policy} decides{approval}."
    )
