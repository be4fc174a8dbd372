"""What changed? The open episode of alarms: what, by how much, since when, and whose doing it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from freshet.console.core.answer import SectionAnswer
from freshet.console.core.number_words import minute_words, plural
from freshet.contracts.messages import Alarm
from freshet.ledger.ledger import PipelineLedger

SHOWN_ALARMS: Final = 12
_CAUSES: Final = {
    "world": ("the world", "The error rose under earlier epochs as well: the data have changed."),
    "own_rollout": ("our own rollout", "Only rows of the newest epoch are worse: a rollout did this."),
    "data_quality": ("data quality", "Labels stay away, or features are missing more often than before."),
    "unknown": ("not known", "There are too few rows of earlier epochs to tell."),
}


@dataclass(frozen=True, slots=True)
class PossibleCause:
    """One possible cause, and whether the episode has it."""

    name: str
    title: str
    told: str
    yes: bool


@dataclass(frozen=True, slots=True)
class AlarmRow:
    """An alarm as it is listed."""

    number: int
    alarm: Alarm
    healed: bool
    """Whether a version that learned afterwards answers now."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The section."""

    answer: SectionAnswer
    rows: tuple[AlarmRow, ...]
    """The newest first."""
    more: int
    causes: tuple[PossibleCause, ...]
    """Empty without an open episode."""


def changed(alarms: Sequence[Alarm], ledger: PipelineLedger) -> Changed:
    """The section. An episode is open until another champion than at its alarms has gone live."""
    live_ms = _champion_since_ms(ledger)
    rows = [AlarmRow(number, alarm, alarm.at_ms < live_ms) for number, alarm in enumerate(alarms, 1)][::-1]
    open_rows = [row for row in rows if not row.healed and row.alarm.level == "detected"]
    suspected = [row for row in rows if not row.healed and row.alarm.level == "suspected"]
    causes: tuple[PossibleCause, ...] = ()
    if open_rows:
        found = {row.alarm.cause for row in open_rows if row.alarm.episode == open_rows[0].alarm.episode}
        causes = tuple(
            PossibleCause(name, *words, name in found)
            for name, words in _CAUSES.items()
            if name != "unknown" or "unknown" in found
        )
    return Changed(
        _answer(rows, open_rows, suspected), tuple(rows[:SHOWN_ALARMS]), max(0, len(rows) - SHOWN_ALARMS), causes
    )


def _champion_since_ms(ledger: PipelineLedger) -> int:
    """Since when the champion of now has answered without another one in between; 0 before the first."""
    since_ms = 0
    for tenure in reversed(list(ledger.epochs.history())):
        if not tenure.rollout.table or tenure.rollout.table[0].version != ledger.epochs.serving:
            break
        since_ms = tenure.since_ms
    return since_ms


def _answer(rows: Sequence[AlarmRow], open_rows: Sequence[AlarmRow], suspected: Sequence[AlarmRow]) -> SectionAnswer:
    if open_rows:
        first = min(open_rows, key=lambda row: row.alarm.at_ms)
        clock = minute_words(first.alarm.at_ms)
        cause = _CAUSES[open_rows[0].alarm.cause][0]
        return SectionAnswer(
            "warn",
            f"{_sentence(open_rows[0].alarm)} First alarm at {clock}; whose doing: {cause}.",
            f"{plural(len(open_rows), 'alarm')} since {clock}",
        )
    if suspected:
        return SectionAnswer(
            "wait",
            f"Perhaps something: {_sentence(suspected[0].alarm)} It is not confirmed.",
            "a suspicion",
        )
    if rows:
        clock = minute_words(rows[0].alarm.at_ms)
        return SectionAnswer(
            "ok", f"Nothing now. The last alarm was at {clock}; another model has gone live since.", "nothing now"
        )
    return SectionAnswer("off", "Nothing: no detector has raised an alarm in what was read.", "nothing")


def _sentence(alarm: Alarm) -> str:
    text = alarm.text.strip()
    return text if text.endswith(".") else f"{text}."
