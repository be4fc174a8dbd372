"""What a committed offset's metadata says of the state: where it began, and under which plan it grows."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Self

_MARKED = re.compile(r"(?:(.*) )?st=(\?|\d{1,18}),(\d{1,9}),(\d{1,18})(?:,([0-9a-f]{16})(?:,(\d{1,18}))?)?", re.DOTALL)
_LOST = re.compile(r"(?:(.*) )?st=\?", re.DOTALL)


class StateMark(NamedTuple):
    """For one input: the state began at offset `since`, and rows from `plan_first` on are taken in under `plan`.

    `since` is None where an input was answered, but its committed offset was lost.
    """

    since: int | None
    plan: int = 0
    plan_first: int = 0
    lives: str = ""
    """See `lives_of`; empty where an older release committed it."""
    last_ms: int = 0
    """When the newest row that the state has taken in was appended; 0: not known."""

    def beside(self, metadata: str) -> str:
        """The logic's metadata with this mark appended."""
        numbers = ["?" if self.since is None else str(self.since), str(self.plan), str(self.plan_first)]
        text = "st=" + ",".join([*numbers, *([self.lives, str(self.last_ms)] if self.lives else [])])
        return f"{metadata} {text}" if metadata else text

    @classmethod
    def split(cls, metadata: str) -> tuple[str, Self | None]:
        """The logic's metadata and the mark; None where nothing was ever answered."""
        found = _MARKED.fullmatch(metadata)
        if found is not None:
            since = None if found[2] == "?" else int(found[2])
            numbers = since, int(found[3]), int(found[4])
            return found[1] or "", cls(*numbers, found[5] or "", int(found[6] or 0))
        lost = _LOST.fullmatch(metadata)  # as an older release wrote it
        return (metadata, None) if lost is None else (lost[1] or "", cls(None))


LOST = StateMark(None)


def lives_of(topic_ids: Mapping[str, str], roles: Iterable[str]) -> str:
    """Stands for the topics of these inputs as they are now.

    A state rests on all its inputs together. Once one of them was made anew it begins anew, at the offsets that there
    are then: rows of the others have met rows that there are no more.
    """
    named = ",".join(f"{role}={topic_ids.get(role, '')}" for role in sorted(roles))
    return hashlib.sha256(named.encode()).hexdigest()[:16]
