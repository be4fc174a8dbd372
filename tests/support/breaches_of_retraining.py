"""Breaches of what retraining promises, planted in what `loop_story` tells."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from freshet.contracts.messages import Command
from support.loop_story import MINUTE_MS, LoopStory
from support.loop_world import PIPELINE

_ONCE: Final = "each occasion is answered once"
_THERE: Final = "alarms and commands that were answered are there"
_LIFE: Final = "a training begins once, and ends once as it began"
_ALONE: Final = "one training at a time is under way"
_OVER: Final = "no alarm and no command is passed over"
_MODELS: Final = "models that name a training came of it"
_VERDICT: Final = "verdicts of gates follow from their figures"
_GATED: Final = "what `gated` has rolled out had passed its gate"
_MARK: Final = "trainings were given rows that were there when they began"
_ROWS: Final = "models learned from the rows before their watermark"
_FIGURES: Final = "figures of gates are those of the models' bytes"
_OURS: Final = "only Freshet tells of trainings"


class LoopBreach(NamedTuple):
    """What plants it, and the checks that must fail, all of them."""

    plant: Callable[[LoopStory], None]
    found: frozenset[str]


def _changed(role: str, nth: int, **fields: Any) -> Callable[[LoopStory], None]:
    def plant(story: LoopStory) -> None:
        story.change(role, nth, **fields)

    return plant


def _dropped(role: str, nth: int) -> Callable[[LoopStory], None]:
    def plant(story: LoopStory) -> None:
        story.drop(role, nth)

    return plant


def _second_training(story: LoopStory) -> None:
    """Two owners have answered the same alarm."""
    for nth in (0, 1):
        again = story.message("trainings", nth).model_copy(update={"training": "f" * 32})
        story.add("trainings", again)


def _started_twice(story: LoopStory) -> None:
    story.add("trainings", story.message("trainings", 0), story.lines[story.of("trainings")[0]].at_ms)


def _two_under_way(story: LoopStory) -> None:
    """The second began before the first had ended."""
    first, second = story.of("trainings")[1:3]
    story.lines[first], story.lines[second] = story.lines[second], story.lines[first]


def _command_passed_over(story: LoopStory) -> None:
    asked = Command(command_id="c0", pipeline=PIPELINE, action="retrain", expires_at_ms=2**50, by="ann@host")
    story.add("commands", asked, story.lines[story.of("trainings")[2]].at_ms - 2 * MINUTE_MS)


def _alarm_passed_over(story: LoopStory) -> None:
    """It came between the first alarm and the training for that, which was the less urgent."""
    later = story.message("alarms", 0).model_copy(update={"id": "a9"})
    at_ms = story.lines[story.of("trainings")[0]].at_ms
    alarm = story.of("alarms")[0]
    story.lines[alarm] = story.lines[alarm].at(at_ms - 5 * MINUTE_MS)
    story.add("alarms", later, at_ms - 2 * MINUTE_MS)


def _manifest(story: LoopStory, role: str, nth: int, **fields: Any) -> None:
    story.change(role, nth, manifest=story.message(role, nth).manifest.model_copy(update=fields))


def _lineage(story: LoopStory, role: str, nth: int, **entries: str) -> None:
    lineage = {**story.message(role, nth).manifest.lineage, **entries}
    _manifest(story, role, nth, lineage=lineage)


def _of_no_training(story: LoopStory) -> None:
    _lineage(story, "candidates", 1, training="e" * 32)


def _other_artifact(story: LoopStory) -> None:
    _manifest(story, "candidates", 1, digest="e" * 64)


def _figures_of_candidate(story: LoopStory) -> None:
    metrics = {**story.message("models", 1).manifest.metrics, "candidate.accuracy": 0.99}
    _manifest(story, "models", 1, metrics=metrics)


def _failed_gate(story: LoopStory) -> None:
    _lineage(story, "models", 1, gate="fail")


def _other_rival(story: LoopStory) -> None:
    """It was judged beside nobody, though 1.0.0 answered."""
    _lineage(story, "models", 1, champion="")


def _better_told(story: LoopStory) -> None:
    """Record and manifest agree on a figure that the bytes do not give."""
    metrics = {**story.message("trainings", 3).metrics, "champion.log_loss": 0.9}
    story.change("trainings", 3, metrics=metrics)
    _manifest(story, "candidates", 1, metrics=metrics)
    _manifest(story, "models", 1, metrics=metrics)


def _before_its_rows(story: LoopStory) -> None:
    """The log's last record came only after the training that names it had begun."""
    at = story.of("outcomes")[9]
    line = story.lines.pop(at)
    story.lines.append(line.at(story.lines[story.of("trainings")[1]].at_ms + 2 * MINUTE_MS))
    story.lines.sort(key=lambda line: line.at_ms)


def _another_label(story: LoopStory) -> None:
    """A row before the cut says something else than what was learned: the watermark did not hold."""
    record = story.message("outcomes", 3)
    label = bytearray(record.label)
    label[0] ^= 1
    story.change("outcomes", 3, label=bytes(label))


def _strangers(story: LoopStory) -> None:
    story.add("trainings", story.message("commands", 0))


LOOP_BREACHES: Final[dict[str, LoopBreach]] = {
    "second training for one alarm": LoopBreach(_second_training, frozenset({_ONCE})),
    "training for an alarm that never was": LoopBreach(_dropped("alarms", 0), frozenset({_THERE})),
    "training for a command that never was": LoopBreach(_dropped("commands", 0), frozenset({_THERE})),
    "command passed over": LoopBreach(_command_passed_over, frozenset({_OVER})),
    "alarm passed over": LoopBreach(_alarm_passed_over, frozenset({_OVER})),
    "training that began twice": LoopBreach(_started_twice, frozenset({_LIFE})),
    "end without a beginning": LoopBreach(_dropped("trainings", 2), frozenset({_LIFE})),
    "end with other rows": LoopBreach(_changed("trainings", 3, seed=8), frozenset({_LIFE})),
    "two trainings at a time": LoopBreach(_two_under_way, frozenset({_ALONE})),
    "skipped without a reason": LoopBreach(_changed("trainings", 4, reason=""), frozenset({_LIFE})),
    "candidate of no training": LoopBreach(_of_no_training, frozenset({_MODELS})),
    "candidate with another artifact": LoopBreach(_other_artifact, frozenset({_MODELS})),
    "version with other figures": LoopBreach(_figures_of_candidate, frozenset({_MODELS})),
    "gate that says pass": LoopBreach(_changed("trainings", 3, clauses=()), frozenset({_VERDICT})),
    "rolled out with a failed gate": LoopBreach(_failed_gate, frozenset({_MODELS, _GATED})),
    "judged beside another version": LoopBreach(_other_rival, frozenset({_MODELS, _GATED})),
    "figures of nobody": LoopBreach(_better_told, frozenset({_FIGURES})),
    "rows that came later": LoopBreach(_before_its_rows, frozenset({_MARK})),
    "rows that there never were": LoopBreach(_changed("trainings", 2, through=99), frozenset({_MARK, _LIFE})),
    "more rows than there were": LoopBreach(_changed("trainings", 3, rows=1201), frozenset({_ROWS})),
    "newest label of another time": LoopBreach(_changed("trainings", 3, trained_through_ms=1), frozenset({_ROWS})),
    "another label": LoopBreach(_another_label, frozenset({_ROWS})),
    "a stranger's record": LoopBreach(_strangers, frozenset({_OURS})),
}
