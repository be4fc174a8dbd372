"""A partition's place in the history of rollouts: the ordered pair (epoch, fallback)."""

import re
from typing import NamedTuple

from freshet.contracts.errors import ContractError
from freshet.contracts.topic_id import PATTERN

_METADATA = re.compile(r"e=(\d{1,18}) f=([01])")
_STAMPED = re.compile(rf"(?:(.*) )?t=({PATTERN})", re.DOTALL)


class Position(NamedTuple):
    """Where in the history of rollouts a partition is answered. A later place compares as greater.

    Epoch 0 means that nothing has been answered yet. `fallback` 1 means that the epoch's understudies answer.
    """

    epoch: int
    fallback: int = 0

    def metadata(self) -> str:
        """The text committed with an offset, such as `e=7 f=0`."""
        return f"e={self.epoch} f={self.fallback}"

    @classmethod
    def parse(cls, metadata: str) -> "Position":
        """Read committed metadata back; raises ContractError on anything but the exact form."""
        found = _METADATA.fullmatch(metadata)
        if found is None:
            raise ContractError(
                f"offset metadata {metadata!r} is not of the form 'e=7 f=0': the group's offsets were reset or written "
                "by another program. See `freshet doctor` before serving on."
            )
        return cls(int(found[1]), int(found[2]))


ORIGIN = Position(0, 0)


def stamped(metadata: str, topic_id: str) -> str:
    """A logic's metadata as it is committed with an offset, with the id of the topic that the offset is of.

    An offset means nothing in a topic that was made anew, and one without this stamp was not committed by us.
    """
    return f"{metadata} t={topic_id}" if metadata else f"t={topic_id}"


def unstamped(text: str) -> tuple[str, str]:
    """The logic's metadata and the topic id in it; the whole text and '' where there is no stamp."""
    found = _STAMPED.fullmatch(text)
    return (found[1] or "", found[2]) if found else (text, "")
