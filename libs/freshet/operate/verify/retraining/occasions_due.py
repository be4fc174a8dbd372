"""Alarms and commands without an answer: which are under way, which wait for labels, and which were passed over."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from freshet.contracts.training_message import Training
from freshet.operate.verify.findings import Finding, listed
from freshet.operate.verify.retraining.loop_evidence import PROMISE, Dated, LoopEvidence
from freshet.operate.verify.retraining.row_numbers import RowNumbers
from freshet.pipeline import PipelineSpec
from freshet.pipeline.trigger import Occasion, Seen

_LAG_MS: Final = 60_000
"""Retraining reads a record within a second; this long after it, it has."""


@dataclass(frozen=True, slots=True)
class Due:
    """What has no answer."""

    findings: tuple[Finding, ...]
    pending: int
    """So many will get one as soon as retraining runs."""


def occasions_due(evidence: LoopEvidence, log: RowNumbers) -> Due:
    """Pure.

    Whoever was passed over is a breach: a training began for what is less important, or came later, long after
    retraining had to know of it. All others are under way, but alarms that wait for labels since their change, or
    behind one that does.
    """
    spec = evidence.in_force
    if spec is None:
        return Due((), 0)
    answered = {(told.message.trigger, told.message.trigger_id) for told in evidence.trainings}
    asked = {one.message.command_id: None for one in evidence.commands}
    commands = [name for name in asked if ("command", name) not in answered]
    alarms = [one for one in _occasions(evidence, spec) if (one.kind, one.id) not in answered]
    forgotten = [name for name in commands if _command_passed_over(evidence, name)]
    ignored = [one for one in alarms if _alarm_passed_over(evidence, log, one)]
    now = _Moment(log.rows, log.late_rows(len(log.ends) - 1), evidence.begun, _refused(evidence))
    ready = [one for nth, one in enumerate(alarms) if one not in ignored and now.is_due(one, alarms[:nth], spec)]
    passed_over = [*(f"command {name}" for name in forgotten), *(f"alarm {one.id}" for one in ignored)]
    looked_at = len(asked) + len(evidence.alarms)
    return Due(
        (listed(PROMISE, "no alarm and no command is passed over", looked_at, passed_over),),
        len(commands) - len(forgotten) + len(ready),
    )


def _occasions(evidence: LoopEvidence, spec: PipelineSpec) -> list[Occasion]:
    """Those of alarms, under the specification in force; what comes of rows and of time is due again and again."""
    seen = Seen(now_ms=0, alarms=[one.message for one in evidence.alarms])
    listed_ = [trigger for trigger in spec.retraining.triggers if trigger.kind == "alarm"]
    return [occasion for trigger in listed_ for occasion in trigger.occasions(seen)]


@dataclass(frozen=True, slots=True)
class _Moment:
    """What retraining could know of the labelled log and of its own trainings when it decided."""

    rows: int
    late_rows: int
    begun: Sequence[Dated[Training]]
    refused: Collection[str]
    """Trainings whose models were refused, perhaps for what may be mended: these may count as none."""

    def is_due(self, occasion: Occasion, newer: Sequence[Occasion], spec: PipelineSpec) -> bool:
        """Whether nothing keeps retraining from answering it: no lack of rows, and no newer alarm that waits for some.

        Its rows would be of two worlds if the newer one's change came later.
        """
        return self._is_ready(occasion, spec) and not any(
            0 < occasion.from_row < other.from_row for other in newer if not self._is_ready(other, spec)
        )

    def _is_ready(self, occasion: Occasion, spec: PipelineSpec) -> bool:
        if occasion.objection or not occasion.from_row or occasion.end_row > self.rows or self._covered(occasion):
            return True
        rules = spec.retraining
        first = min(max(occasion.from_row, self.rows - rules.max_rows, 0), self.rows)
        held_out = int((self.rows - first) * rules.holdout)
        learned = min(self.rows - held_out, self.rows - held_out // 2 - self.late_rows) - first
        return learned >= rules.min_rows or self.rows - first >= rules.max_rows

    def _covered(self, occasion: Occasion) -> bool:
        """Whether a training learned only from rows since the change, and from all that the alarm was about."""
        return any(
            occasion.end_row <= told.message.end_row <= self.rows and told.message.from_row >= occasion.from_row
            for told in self.begun
            if told.message.training not in self.refused
        )


def _refused(evidence: LoopEvidence) -> set[str]:
    digests = {model.manifest.digest for model in evidence.ledger.versions.refusals.values()}
    return {told.message.training for told in evidence.finished if told.message.digest in digests}


def _command_passed_over(evidence: LoopEvidence, name: str) -> bool:
    """Commands are answered first, in their order, before any training begins."""
    names = [one.message.command_id for one in evidence.commands]
    at_ms, earlier = evidence.commands[names.index(name)].at_ms, set(names[: names.index(name)])
    return any(
        told.at_ms > at_ms + _LAG_MS and not (told.message.trigger == "command" and told.message.trigger_id in earlier)
        for told in evidence.begun
    )


def _alarm_passed_over(evidence: LoopEvidence, log: RowNumbers, occasion: Occasion) -> bool:
    """Of alarms the newest is answered first, unless it waits for labels; then what is listed behind them."""
    names = [one.message.id for one in evidence.alarms]
    at_ms, earlier = evidence.alarms[names.index(occasion.id)].at_ms, set(names[: names.index(occasion.id)])
    refused = _refused(evidence)
    for nth, told in enumerate(evidence.begun):
        start, spec = told.message, evidence.spec_of(told)
        kinds = [trigger.kind for trigger in spec.retraining.triggers] if spec is not None else []
        behind = kinds[kinds.index("alarm") + 1 :] if "alarm" in kinds else []
        later = start.trigger in behind and start.trigger not in {"alarm", "command"}
        older = "alarm" in kinds and start.trigger == "alarm" and start.trigger_id in earlier
        known = told.at_ms > at_ms + _LAG_MS
        place = log.at(start.through)
        if spec is None or not known or not (later or older) or place < 0:
            continue
        then = _Moment(start.end_row, log.late_rows(place), evidence.begun[:nth], refused)
        newer = [one for one in _occasions(evidence, spec) if names.index(one.id) > names.index(occasion.id)]
        if then.is_due(occasion, newer, spec):
            return True
    return False


def under_way(trainings: Sequence[Dated[Training]]) -> int:
    """How many trainings have begun and not ended."""
    last = {told.message.training: told.message.phase for told in trainings}
    return sum(phase == "started" for phase in last.values())
