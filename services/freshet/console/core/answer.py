"""What a section of a page says before it proves it: a sign, a sentence, and a few words for the bar at the top."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["ok", "warn", "held", "bad", "off", "stale", "wait", "new"]
"""Names of the signs: a shape, then only a colour. See `signs.html`."""

_ORDER: Final[tuple[Kind, ...]] = ("bad", "warn", "held", "stale", "wait", "new", "off", "ok")


@dataclass(frozen=True, slots=True)
class SectionAnswer:
    """The answer to a section's question."""

    kind: Kind
    sentence: str
    brief: str
    """At most 24 characters or so."""


@dataclass(frozen=True, slots=True)
class Why:
    """Why something is not as it should be: what is the matter, then its cause and what ends it."""

    kind: Kind
    fact: str
    cause: str
    row: str = ""
    """The section of docs/failures.md that says what to do."""


def urgency(answer: SectionAnswer) -> int:
    """Sorts answers: the one that needs somebody first has the smallest."""
    return _ORDER.index(answer.kind)


def worst(answers: Iterable[SectionAnswer]) -> SectionAnswer:
    """The one that needs somebody first."""
    return min(answers, key=urgency)
