"""What a committed offset's metadata says of the state: where it began, and under which plan it grows."""

import re
from typing import NamedTuple, Self

_MARKED = re.compile(r"(?:(.*) )?st=(?:(\?)|(\d{1,18}),(\d{1,9}),(\d{1,18}))", re.DOTALL)


class StateMark(NamedTuple):
    """For one input: the state began at offset `since`, and rows from `plan_first` on are taken in under `plan`.

    `since` is None where an input was answered, but its committed offset was lost.
    """

    since: int | None
    plan: int = 0
    plan_first: int = 0

    def beside(self, metadata: str) -> str:
        """The logic's metadata with this mark appended."""
        text = "st=?" if self.since is None else f"st={self.since},{self.plan},{self.plan_first}"
        return f"{metadata} {text}" if metadata else text

    @classmethod
    def split(cls, metadata: str) -> tuple[str, Self | None]:
        """The logic's metadata and the mark; None where nothing was ever answered."""
        found = _MARKED.fullmatch(metadata)
        if found is None:
            return metadata, None
        mark = cls(None) if found[2] else cls(*map(int, found.groups()[2:]))
        return found[1] or "", mark


LOST = StateMark(None)
