"""All that the gateway has of one pipeline: who writes, who reads, who waits for answers, and who looks on.

Waiters and tails belong to the thread that answers requests; the reading thread only hands over what it has read.
"""

import asyncio
import threading
from concurrent.futures import Future
from dataclasses import asdict
from typing import Final

from freshet.client.event_records import RecordMaker
from freshet.client.one_row import Letter
from freshet.contracts.topic_table import TopicNames
from freshet.gateway.answers_reading import AnswersReading, ReadAnswers
from freshet.gateway.core.answer_rows import prediction_row
from freshet.gateway.core.limits import TAIL_ROWS
from freshet.gateway.core.waiters import Waiters
from freshet.gateway.record_making import RecordMaking
from freshet.gateway.sending import Sending
from freshet.gateway.tail_socket import Tail
from freshet.runtime.bus.protocol import Bus

_TAKEN_S: Final = 30.0


class Lane:
    """Made on a thread of its own, since it asks Kafka; everything else is called where requests are answered."""

    def __init__(self, bus: Bus, names: TopicNames, maker: RecordMaker, loop: asyncio.AbstractEventLoop) -> None:
        """Raises BusError if Kafka is away."""
        self.maker = maker
        self.names = names
        self.making = RecordMaking(maker)
        self.waiters = Waiters()
        self.tails: set[Tail] = set()
        self._loop = loop
        self._stop = threading.Event()
        self._classes = maker.spec.target.classes
        self.sending = Sending(bus)
        self._reading = AnswersReading(bus, len(self._classes) or 1, self._hand_over, self._stop)
        self.sending.start()
        self._reading.start()

    def works(self) -> bool:
        """Whether both of its threads run; what ended for a reason that nobody foresaw does not come back."""
        return self.sending.is_alive() and self._reading.is_alive()

    def end(self) -> None:
        """Write what was submitted, and read no more. Who still waits gets no more than the event's place, in time."""
        self._stop.set()
        self.sending.end()
        for tail in self.tails:
            tail.end()

    def _hand_over(self, read: ReadAnswers) -> None:
        """In the reading thread: returns when the other thread has taken it, or both are ending."""
        taken: Future[None] = Future()

        def take() -> None:
            try:
                self._take(read)
            finally:
                taken.set_result(None)

        try:
            self._loop.call_soon_threadsafe(take)
            taken.result(_TAKEN_S)
        except (RuntimeError, TimeoutError):
            return  # the loop is closed, or it ends

    def _take(self, read: ReadAnswers) -> None:
        for position, letter in read.letters:
            self.waiters.set_aside(position, {"dead_letter": _letter_row(letter)})
        found = read.predictions
        if found is None:
            return
        partitions, offsets = found["source_partition"], found["source_offset"]
        if len(self.waiters):
            self.waiters.predicted(
                found["event_id"].tolist(),
                lambda row: (int(partitions[row]), int(offsets[row])),
                lambda row: {"prediction": prediction_row(found, row, self._classes)},
            )
        if self.tails:
            first = max(0, len(offsets) - TAIL_ROWS)
            rows = [prediction_row(found, row, self._classes) for row in range(first, len(offsets))]
            for tail in self.tails:
                tail.put(rows, first)


def _letter_row(letter: Letter) -> dict[str, object]:
    """Why an event was set aside, and where that is written."""
    partition, offset = letter.position
    told = asdict(letter)
    del told["position"]
    return told | {"partition": partition, "offset": offset}
