"""What an earlier replay has sent already, by event id: whoever was killed has told nobody how far it came."""

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from freshet.operate.event_values import plain
from freshet.operate.records import Readable
from freshet.operate.tables.events import Events
from freshet.pipeline import PipelineSpec
from freshet.runtime.bus.protocol import Bus
from freshet.runtime.reading import everything


class Already:
    """The event ids on a pipeline's topics. Memory is some 200 bytes for each.

    Records that cannot be read have no id: spoiled events are sent again.
    """

    def __init__(self, bus: Bus, spec: PipelineSpec, known: Readable) -> None:
        """Reads all that the events and feedback topics hold. Raises RetriableError if the broker falls silent."""
        self._field = spec.event_id
        self._events = Counter(_ids(bus, "events", spec.event_id, known))
        self._labelled = set(_ids(bus, "feedback", "event_id", known))
        self.passed_over = 0
        """Events that were on the topic already."""

    def rest(self, source: Iterable[Events]) -> Iterator[Events]:
        """The events that are not there yet; of an id that the table has twice as many as are missing."""
        left = self._events.copy()
        for events in source:
            rows = [row for row, event_id in enumerate(self._ids_of(events)) if not _taken(left, event_id)]
            self.passed_over += len(events) - len(rows)
            if rows:
                yield events.part(np.array(rows, np.int64))

    def unlabelled(self, source: Iterable[Events]) -> Iterator[Events]:
        """The events that are there, but whose label never came."""
        for events in source:
            ids = self._ids_of(events)
            rows = [row for row, name in enumerate(ids) if name in self._events and name not in self._labelled]
            if rows:
                yield events.part(np.array(rows, np.int64))

    def _ids_of(self, events: Events) -> list[str]:
        return [str(value) for value in plain(events.columns[self._field])]


def _ids(bus: Bus, role: str, field: str, known: Readable) -> Iterator[str]:
    for batch in everything(bus, role):
        for value in known.values(role, batch.values):
            if isinstance(value, dict) and field in value:
                yield str(value[field])


def _taken(left: Counter[str], event_id: str) -> bool:
    if left[event_id] <= 0:
        return False
    left[event_id] -= 1
    return True
