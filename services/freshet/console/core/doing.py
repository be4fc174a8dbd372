"""What is being done about it? Trainings and what came of them, and what the gate said of the last one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from freshet.console.core.alive import Crew
from freshet.console.core.answer import Kind, SectionAnswer
from freshet.console.core.number_words import minute_words
from freshet.ledger.ledger import PipelineLedger

SHOWN_RUNS: Final = 12


@dataclass(frozen=True, slots=True)
class TrainingLine:
    """A training, or an occasion that led to none."""

    training: str
    phase: str
    trigger: str
    trigger_id: str
    by: str
    began_ms: int
    at_ms: int
    rows: int
    holdout_rows: int
    trained_through_ms: int
    trainer: str
    version: str
    outcome: str
    gate: str
    clauses: tuple[str, ...]
    cpu_ms: int
    metrics: Mapping[str, float]
    champion: str
    reason: str

    @property
    def kind(self) -> Kind:
        """Its sign."""
        if self.phase == "started":
            return "new"
        if self.phase == "finished":
            return "bad" if self.gate == "fail" else "ok"
        return "bad" if self.phase == "failed" else "off"


@dataclass(frozen=True, slots=True)
class Doing:
    """The section."""

    answer: SectionAnswer
    runs: tuple[TrainingLine, ...]
    """The newest first."""
    more: int
    triggers: tuple[str, ...]
    trainer: str


def doing(
    ledger: PipelineLedger,
    runs: Sequence[TrainingLine],
    crews: Mapping[str, Crew],
    triggers: tuple[str, ...],
    trainer: str,
) -> Doing:
    """The section; `runs` are in the order in which they began."""
    newest = tuple(runs[::-1])
    answer = _answer(ledger, newest, crews, triggers)
    return Doing(answer, newest[:SHOWN_RUNS], max(0, len(newest) - SHOWN_RUNS), triggers, trainer)


def _answer(
    ledger: PipelineLedger, newest: Sequence[TrainingLine], crews: Mapping[str, Crew], triggers: tuple[str, ...]
) -> SectionAnswer:
    retraining = crews["retraining"]
    if triggers and not retraining.alive:
        what = "is not running" if retraining.workers else "has never been heard of"
        return SectionAnswer(
            "bad", f"Nothing: retraining {what}, so triggers lead to no training.", "retraining is away"
        )
    under_way = [run for run in newest if run.phase == "started"]
    if under_way:
        run = under_way[0]
        return SectionAnswer(
            "new",
            f"A model is being trained since {minute_words(run.began_ms)}, because of {run.trigger}.",
            "a training runs",
        )
    if ledger.epochs.open:
        epoch = ledger.epochs.open[-1]
        return SectionAnswer("new", f"Workers load the models of epoch {epoch.epoch}.", f"epoch {epoch.epoch} prepared")
    done = next((run for run in newest if run.phase == "finished"), None)
    if done is not None:
        kind: Kind = "ok" if done.gate != "fail" else "warn"
        return SectionAnswer(
            kind,
            f"Nothing now. The last training, at {minute_words(done.began_ms)}, led to {done.outcome}.",
            f"last at {minute_words(done.began_ms)}",
        )
    if not triggers:
        return SectionAnswer(
            "off", "Nothing by itself: the pipeline names no trigger, so only a command trains a model.", "no triggers"
        )
    return SectionAnswer("off", f"Nothing yet. Triggers: {', '.join(triggers)}.", "nothing yet")
