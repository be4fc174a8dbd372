"""What was set aside? Dead letters by reason, over the last hours."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from freshet.console.core.answer import SectionAnswer
from freshet.console.core.number_words import plural

COLUMNS: Final = 36
"""Columns of the course of each reason: ten minutes each, six hours together."""
_MEANINGS: Final = {
    "input_malformed": "it cannot be read as the event schema says",
    "input_framing": "it does not begin with a schema id",
    "input_schema_unknown": "it names a schema that was never published",
    "input_schema_unfit": "its producer's schema does not fit the pipeline's",
    "input_truncated": "it ends too early",
    "input_trailing": "it goes on after its end",
    "input_empty": "it has no value",
    "input_range": "a field is outside the pipeline's rules",
    "input_enum": "a field has a value that is not among those allowed",
    "input_not_finite": "a field is infinite, or no number",
    "input_missing": "a field has no value, and no default",
    "input_name": "its key or one of its names is not readable",
    "input_event_time": "it happened too far from when it was written",
    "input_too_large": "it is larger than the pipeline takes",
    "input_output_too_large": "what came of it is larger than a topic takes",
    "input_expired": "it expired before it was read",
    "input_spec_too_old": "a model needs a feature that it has no value for",
    "model_exception": "the model raised an error on it",
    "model_crashed": "workers died while the model scored it",
    "model_not_finite": "the model's answer to it was no number",
}


@dataclass(frozen=True, slots=True)
class ReasonRow:
    """The dead letters of one reason."""

    reason: str
    count: int
    kinds: int
    first_ms: int
    last_ms: int
    course: tuple[int, ...]
    place: str
    """partition/offset of the newest one."""

    @property
    def meaning(self) -> str:
        """The reason in words; empty for one that is not ours."""
        return _MEANINGS.get(self.reason, "")


@dataclass(frozen=True, slots=True)
class Letters:
    """What was found on the dead-letters topic when it was last looked at."""

    at_ms: int
    rows: tuple[ReasonRow, ...]
    redriven: int
    capped: bool
    """Whether there are older ones that were not counted."""


@dataclass(frozen=True, slots=True)
class Aside:
    """The section."""

    answer: SectionAnswer
    letters: Letters | None
    per_minute: float | None


def aside(letters: Letters | None, rate: float | None) -> Aside:
    """The section; `rate` is what comes to the topic per second."""
    per_minute = None if rate is None else rate * 60
    if letters is None:
        return Aside(
            SectionAnswer("off", "Not looked at yet: they are read while somebody looks at this page.", "not read yet"),
            None,
            per_minute,
        )
    if not letters.rows:
        return Aside(SectionAnswer("off", "Nothing in the last 24 hours.", "nothing"), letters, per_minute)
    total = sum(row.count for row in letters.rows)
    most = letters.rows[0]
    share = f"; most often {most.reason}" if len(letters.rows) > 1 else f", for {most.reason}"
    told = f"{'More than ' if letters.capped else ''}{plural(total, 'record')} in 24 hours{share}."
    if per_minute:
        brief = f"{per_minute:,.1f} a minute" if per_minute < 100 else f"{per_minute:,.0f} a minute"
    else:
        brief = f"{total:,} in 24 h"
    broken = [row for row in letters.rows if row.reason.startswith("model_")]
    if broken:
        return Aside(
            SectionAnswer("warn", f"{told} The model failed on {broken[0].count:,} of them.", brief),
            letters,
            per_minute,
        )
    return Aside(SectionAnswer("ok", told, brief), letters, per_minute)


def by_reason(found: Sequence[ReasonRow]) -> tuple[ReasonRow, ...]:
    """The most frequent first."""
    return tuple(sorted(found, key=lambda row: (-row.count, row.reason)))
