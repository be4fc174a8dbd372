"""A partition's place in the history of rollouts: the ordered pair (epoch, fallback)."""

import re
from typing import NamedTuple

from freshet.contracts.errors import ContractError
from freshet.contracts.topic_id import PATTERN

_METADATA = re.compile(r"e=(\d{1,18}) f=([01])")
_STAMPED = re.compile(rf"(?:(.*) )?t=({PATTERN})(?: o=(\d{{1,19}})(?:;.*)?)?", re.DOTALL)


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


class Unstamped(NamedTuple):
    """What the text that is committed with an offset says: the logic's metadata, and whose offset it is."""

    metadata: str
    topic_id: str = ""
    """Of the topic that the offset is of; empty where the text has no stamp."""
    moved: bool = False
    """True if we committed the text with another offset: somebody has changed the number and kept the text."""


def stamped(metadata: str, topic_id: str, offset: int) -> str:
    """A logic's metadata as it is committed with this offset: with the id of its topic, and the offset once more.

    An offset means nothing in a topic that was made anew. One without this stamp, or with the stamp of another offset,
    was not committed by us. The text ends in `;`: librdkafka (2.16) hands metadata on without its length or an end, so
    that what lies behind it in memory is read as a part of it.
    """
    stamp = f"t={topic_id} o={offset};"
    return f"{metadata} {stamp}" if metadata else stamp


def unstamped(text: str, offset: int) -> Unstamped:
    """Take the stamp off the text that is committed with this offset; a text without one comes back whole.

    Older releases did not write the offset into the stamp: theirs is believed, until the next commit.
    """
    found = _STAMPED.fullmatch(text)
    if found is None:
        return Unstamped(text)
    return Unstamped(found[1] or "", found[2], found[3] is not None and int(found[3]) != offset)
