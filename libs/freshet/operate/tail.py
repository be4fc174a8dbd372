"""The records of a topic, decoded: as they stand, and as they come."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from freshet.contracts.topic_table import topic_table
from freshet.operate.operate_error import OperateError
from freshet.operate.records import Readable
from freshet.runtime.bus.protocol import Bus, Place
from freshet.runtime.reading import everything

_READ_ROWS: Final = 500

Row = dict[str, Any]


def resolve(topic: str, pipeline: str, namespace: str) -> tuple[str, str]:
    """Role and pipeline of what somebody called a topic; OperateError lists the roles."""
    plain = topic.removeprefix(namespace)
    for role, stanza in topic_table().items():
        before, placeholder, after = stanza.name.partition("{p}")
        if topic == role:
            if placeholder and not pipeline:
                raise OperateError(f"every pipeline has its own {role}: say whose, with --pipeline.", "usage")
            return role, pipeline
        if placeholder and plain.startswith(before) and plain.endswith(after):
            return role, plain[len(before) : len(plain) - len(after)]
        if plain == stanza.name:
            return role, pipeline
    raise OperateError(f"{topic!r} is no topic of Freshet's; roles are {', '.join(topic_table())}.", "usage")


class Tail:
    """The records of one topic, as they stood when it was made and as they come."""

    def __init__(self, bus: Bus, role: str, readable: Readable) -> None:
        """Raises OperateError if the topic does not exist."""
        self._bus = bus
        self._role = role
        self._readable = readable
        self._spans = {Place(role, partition): span for partition, span in bus.spans(role).items()}
        if not self._spans:
            raise OperateError(f"the {role} topic does not exist yet. Create it with `freshet topics apply`.", "failed")

    def rows(self, starts: Mapping[Place, int] | None = None) -> Iterator[Row]:
        """All records there were, or those from these offsets on, each partition's in order."""
        for batch in everything(self._bus, self._role, starts):
            for row in self._readable.rows(batch):
                if row["offset"] < self._spans[Place(self._role, row["partition"])].end:
                    yield row

    def last(self, count: int) -> list[Row]:
        """The newest records there were, oldest first."""
        back = count
        while True:
            starts = {place: max(span.low, span.end - back) for place, span in self._spans.items()}
            found = sorted(self.rows(starts), key=lambda row: (row["timestamp_ms"], row["partition"], row["offset"]))
            if len(found) >= count or all(starts[place] == span.low for place, span in self._spans.items()):
                return found[-count:]
            back *= 8  # markers of transactions and compacted records take offsets, too

    def coming(self) -> Iterator[Row]:
        """Every record from then on; never ends."""
        reader = self._bus.reader([self._role], {place: span.end for place, span in self._spans.items()})
        try:
            while True:
                for batch in reader.read(_READ_ROWS, 1.0):
                    yield from self._readable.rows(batch)
        finally:
            reader.close()
