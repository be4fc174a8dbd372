"""Each occasion has one answer, and each training one life: it begins, and ends as it began."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from freshet.contracts.training_message import Training
from freshet.operate.verify.findings import Finding, listed
from freshet.operate.verify.retraining.loop_evidence import PROMISE, Dated, LoopEvidence

_DECIDED: Final = (
    "trigger",
    "trigger_id",
    "specification",
    "trainer",
    "params",
    "seed",
    "cut_row",
    "end_row",
    "through",
)
"""What a start fixes for good."""


def training_lives(evidence: LoopEvidence) -> Iterator[Finding]:
    """Whatever retraining has said of itself, held against itself and against alarms and commands."""
    answers: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for told in evidence.trainings:
        answers[told.message.trigger, told.message.trigger_id][told.message.training] = None
    twice = [
        f"{kind} {name}: {', '.join(training[:8] for training in trainings)}"
        for (kind, name), trainings in answers.items()
        if len(trainings) > 1
    ]
    yield listed(PROMISE, "each occasion is answered once", len(answers), twice)
    invented = [f"{kind} {name}" for kind, name in answers if _unknown(evidence, kind, name)]
    yield listed(PROMISE, "alarms and commands that were answered are there", len(answers), invented)
    lives = evidence.by_training
    strange = [
        f"{training[:8]}: {trouble}"
        for training, records in lives.items()
        if (trouble := _trouble(records, cut="trainings" in evidence.cut))
    ]
    yield listed(PROMISE, "a training begins once, and ends once as it began", len(lives), strange)
    yield listed(PROMISE, "one training at a time is under way", len(evidence.begun), list(_beside(evidence.trainings)))


def _unknown(evidence: LoopEvidence, kind: str, name: str) -> bool:
    match kind:
        case "alarm" if "alarms" not in evidence.cut:
            return all(alarm.message.id != name for alarm in evidence.alarms)
        case "command" if "commands" not in evidence.cut:
            return all(asked.message.command_id != name for asked in evidence.commands)
    return False


def _trouble(records: Sequence[Dated[Training]], *, cut: bool) -> str:
    """What is wrong with the life of one training; empty if nothing is. Its start may have expired."""
    said = [told.message for told in records]
    phases = [record.phase for record in said]
    if phases[0] not in {"started", "skipped"} and cut:
        said, phases = [said[0], *said], ["started", *phases]
    if phases not in (["skipped"], ["started"], ["started", "finished"], ["started", "failed"]):
        return f"it was {', then '.join(phases)}"
    first, last = said[0], said[-1]
    if changed := [name for name in _DECIDED if getattr(first, name) != getattr(last, name)]:
        return f"it ended with another {' and '.join(changed)}"
    if last.phase in {"failed", "skipped"} and not last.reason:
        return f"it was {last.phase} without a reason"
    if bool(last.digest) != (last.phase == "finished"):
        return f"it was {last.phase} {'with' if last.digest else 'without'} a model"
    return ""


def _beside(trainings: Sequence[Dated[Training]]) -> Iterator[str]:
    under_way: dict[str, None] = {}
    for told in trainings:
        training = told.message.training
        if told.message.phase == "started":
            if under_way and training not in under_way:
                yield f"{training[:8]} beside {next(iter(under_way))[:8]}"
            under_way[training] = None
        else:
            under_way.pop(training, None)
