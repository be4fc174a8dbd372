"""Writes what requests bring to one pipeline's topics: one thread, in the order in which it came."""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, NamedTuple

from freshet.client.event_records import Records
from freshet.gateway.core.waiters import Position
from freshet.runtime.bus.protocol import Bus, Producer, RetriableError, Send

_SEND_ROWS: Final = 2_000
"""Records that are written together, unless one request has more."""
_ACK_S: Final = 10.0
"""How long Kafka may take to acknowledge: after that a caller gets no for an answer, and must know soon."""


class NothingWrittenError(RetriableError):
    """The records waited longer for their turn than their caller does, and were not sent to Kafka."""


class Job(NamedTuple):
    """What one request brought."""

    records: Records
    future: "Future[list[Position]]"
    since_s: float
    """When it came."""


class Sending(threading.Thread):
    """Acknowledges what all replicas have (acks=all, idempotent). Its queue is as long as requests are admitted."""

    def __init__(self, bus: Bus, now_s: Callable[[], float] = time.monotonic) -> None:
        """Raises RetriableError if Kafka does not say how many partitions there are."""
        super().__init__(name=f"sending-{id(self)}", daemon=True)
        self._bus, self._now_s = bus, now_s
        self._counts = dict(bus.partition_counts(["events", "feedback"]))
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._producer: Producer | None = None
        self.ended = False
        """Whether nothing more may be submitted."""

    def submit(self, records: Records) -> "Future[list[Position]]":
        """Where they lie, once Kafka has acknowledged all of them. The future fails with BusError.

        A future that is cancelled before its turn is passed over: nothing of it is written.
        """
        assert not self.ended
        future: Future[list[Position]] = Future()
        self._queue.put(Job(records, future, self._now_s()))
        return future

    def end(self) -> None:
        """Write what was submitted, then end. Called in the thread that submits, so that nothing comes after it."""
        self.ended = True
        self._queue.put(None)

    def run(self) -> None:
        """Take what waits, and write it together."""
        ended = False
        while not ended:
            jobs, ended = self._waiting()
            for role in self._counts:
                due = self._due([job for job in jobs if job.records.role == role])
                if due:
                    self._write(role, due)
        if self._producer is not None:
            self._producer.close()

    def _waiting(self) -> tuple[list[Job], bool]:
        job = self._queue.get()
        jobs: list[Job] = []
        rows = 0
        while job is not None:
            jobs.append(job)
            rows += len(job.records.ids)
            if rows >= _SEND_ROWS:
                return jobs, False
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                return jobs, False
        return jobs, True

    def _due(self, jobs: list[Job]) -> list[Job]:
        """Those whose callers still wait; the others are told that nothing was written."""
        due = [job for job in jobs if job.future.set_running_or_notify_cancel()]
        if not due:
            return []
        oldest_s = self._now_s() - _ACK_S
        for job in due:
            if job.since_s < oldest_s:
                job.future.set_exception(
                    NothingWrittenError(f"those before it took Kafka more than {_ACK_S:.0f} s. Send it again.")
                )
        return [job for job in due if job.since_s >= oldest_s]

    def _write(self, role: str, jobs: list[Job]) -> None:
        try:
            places = self._placed(role, [job.records for job in jobs])
        except Exception as error:
            # What Kafka did not acknowledge in time must not be written later, after the caller was told.
            if self._producer is not None:
                self._producer.close()
                self._producer = None
            for job in jobs:
                job.future.set_exception(error)
            return
        at = 0
        for job in jobs:
            job.future.set_result(places[at : at + len(job.records.ids)])
            at += len(job.records.ids)

    def _placed(self, role: str, all_records: list[Records]) -> list[Position]:
        if not self._counts[role]:
            self._counts |= self._bus.partition_counts([role])
            if not self._counts[role]:
                raise RetriableError(f"the topic {role} is not there: `freshet apply` creates it.")
        if self._producer is None:
            self._producer = self._bus.producer()
        partitions = [at for records in all_records for at in records.partitions(self._counts[role])]
        keys = [key for records in all_records for key in records.keys]
        values = [value for records in all_records for value in records.values]
        offsets = self._producer.send(Send(role, keys, values, partitions), _ACK_S)
        return list(zip(partitions, offsets, strict=True))
