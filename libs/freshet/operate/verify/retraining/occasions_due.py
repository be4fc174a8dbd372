"""Alarms and commands without an answer: which are under way, which wait for labels, and which were passed over."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from freshet.contracts.training_message import Training
from freshet.operate.verify.findings import Finding, listed
from freshet.operate.verify.retraining.loop_evidence import PROMISE, Dated, LoopEvidence
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


def occasions_due(evidence: LoopEvidence, rows: int) -> Due:
    """Pure. `rows` is how many the labelled log has now.

    Whoever was passed over is a breach: a training began for what is less important, or came later, long after
    retraining had to know of it. All others are under way, but alarms that wait for labels since their change.
    """
    spec = evidence.in_force
    if spec is None:
        return Due((), 0)
    answered = {(told.message.trigger, told.message.trigger_id) for told in evidence.trainings}
    asked = {one.message.command_id: None for one in evidence.commands}
    commands = [name for name in asked if ("command", name) not in answered]
    alarms = [one for one in _occasions(evidence, spec) if (one.kind, one.id) not in answered]
    forgotten = [name for name in commands if _command_passed_over(evidence, name)]
    ignored = [one for one in alarms if _alarm_passed_over(evidence, one)]
    done = [told.message.end_row for told in evidence.begun]
    ready = [one for one in alarms if one not in ignored and _ready(one, spec, rows, done)]
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


def _ready(occasion: Occasion, spec: PipelineSpec, rows: int, done: Sequence[int]) -> bool:
    """Whether nothing keeps retraining from answering it, of a log with so many rows.

    `done` are the ends of the trainings that had begun by then.
    """
    covered = occasion.end_row > rows or any(occasion.end_row <= end <= rows for end in done)
    if occasion.objection or covered or not occasion.from_row:
        return True
    rules = spec.retraining
    first = min(max(occasion.from_row, rows - rules.max_rows, 0), rows)
    return rows - int((rows - first) * rules.holdout) - first >= rules.min_rows


def _command_passed_over(evidence: LoopEvidence, name: str) -> bool:
    """Commands are answered first, in their order, before any training begins."""
    names = [one.message.command_id for one in evidence.commands]
    at_ms, earlier = evidence.commands[names.index(name)].at_ms, set(names[: names.index(name)])
    return any(
        told.at_ms > at_ms + _LAG_MS and not (told.message.trigger == "command" and told.message.trigger_id in earlier)
        for told in evidence.begun
    )


def _alarm_passed_over(evidence: LoopEvidence, occasion: Occasion) -> bool:
    """Of alarms the newest is answered first, unless it waits for labels; then what is listed behind them."""
    names = [one.message.id for one in evidence.alarms]
    at_ms, earlier = evidence.alarms[names.index(occasion.id)].at_ms, set(names[: names.index(occasion.id)])
    done: list[int] = []
    for told in evidence.begun:
        start, spec = told.message, evidence.spec_of(told)
        kinds = [trigger.kind for trigger in spec.retraining.triggers] if spec is not None else []
        behind = kinds[kinds.index("alarm") + 1 :] if "alarm" in kinds else []
        later = start.trigger in behind and start.trigger not in {"alarm", "command"}
        older = "alarm" in kinds and start.trigger == "alarm" and start.trigger_id in earlier
        known = told.at_ms > at_ms + _LAG_MS
        if spec is not None and known and (later or older) and _ready(occasion, spec, start.end_row, done):
            return True
        done.append(start.end_row)
    return False


def under_way(trainings: Sequence[Dated[Training]]) -> int:
    """How many trainings have begun and not ended."""
    last = {told.message.training: told.message.phase for told in trainings}
    return sum(phase == "started" for phase in last.values())
