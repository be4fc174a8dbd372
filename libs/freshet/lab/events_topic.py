"""A table is sent as live events: what is left to send, and whether there still is where to send it."""

import time
from collections.abc import Iterator
from typing import Final

from freshet.lab.load import Load
from freshet.operate.operate_error import OperateError
from freshet.operate.progress import Say
from freshet.operate.tables.events import Events
from freshet.operate.tables.resume import Already
from freshet.operate.tables.table_events import CsvEvents
from freshet.runtime.bus.protocol import Bus

_LOOK_S: Final = 1.0
DELETED: Final = (
    "the events topic was deleted while events were sent to it. If the pipeline is to live on, publish it again with "
    "`freshet apply`, then begin anew."
)


def rest_of(load: Load, source: CsvEvents, already: Already, say: Say) -> Iterator[Events]:
    """The events that the topic lacks; labels that it lacks of others are sent along."""
    for unlabelled in already.unlabelled(source):
        load.owe_labels(unlabelled)
    yield from already.rest(source)
    say(f"{already.passed_over:,} events were on the topic already.")


class EventsTopic:
    """The events topic of this pipeline's life: one made anew by its name is another pipeline's, or nobody's."""

    def __init__(self, bus: Bus) -> None:
        self._bus, self._looked_s = bus, time.monotonic()
        self._id = bus.topic_id("events")

    def check(self) -> None:
        """Raises OperateError if it is gone; looks once a second."""
        if time.monotonic() - self._looked_s < _LOOK_S:
            return
        self._looked_s = time.monotonic()
        if self._bus.topic_id("events") != self._id:
            raise OperateError(DELETED)
