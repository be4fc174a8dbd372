"""Some events as columns, and streams of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np

from freshet.avro import Columns, concat, take
from freshet.contracts.arrays import Ints

BATCH_ROWS: Final = 1000  # a send waits for its acknowledgements: enough rows to be worth it, few enough to be quick


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """Some events as columns of the event schema, all of one length, with their true labels ("" where none is known).

    The event time may be left out: then each event gets the time at which it is sent.
    """

    columns: Columns
    labels: list[str] | None = None

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def part(self, rows: Ints) -> "Events":
        """These rows."""
        labels = None if self.labels is None else [self.labels[row] for row in rows.tolist()]
        return Events({name: take(column, rows) for name, column in self.columns.items()}, labels)

    @classmethod
    def joined(cls, parts: Sequence["Events"]) -> "Events":
        """At least one part, one after the other; labels if all have them."""
        labels = [part.labels for part in parts if part.labels is not None]
        return cls(
            {name: concat([part.columns[name] for part in parts]) for name in parts[0].columns},
            list(chain.from_iterable(labels)) if len(labels) == len(parts) else None,
        )


def first(source: Iterable[Events], rows: int | None) -> Iterator[Events]:
    """The first so many events of a source; all for None."""
    left = rows
    for events in source:
        if left is not None and left < len(events):
            yield events.part(np.arange(left))
            return
        left = None if left is None else left - len(events)
        yield events
        if left == 0:
            return


def after(source: Iterable[Events], rows: int) -> Iterator[Events]:
    """A source without its first so many events."""
    for events in source:
        if rows < len(events):
            yield events.part(np.arange(rows, len(events)))
        rows = max(0, rows - len(events))
