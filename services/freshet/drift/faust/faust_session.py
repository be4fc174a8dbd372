"""A Faust app in a thread of its own, and what it has handed over of one topic."""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, TypeVar

import faust
from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from freshet.contracts.batch import Headers
from freshet.drift.faust.faust_exit import leave
from freshet.runtime.bus.protocol import Changes, Place, RetriableError

T = TypeVar("T")

_START_S: Final = 60.0
_STOP_S: Final = 10.0
_LOOK_S: Final = 0.2
_MOST_BYTES: Final = 16 << 20
"""So much is kept of what Faust has handed over; more waits in Faust, whose own buffers then stop the fetches."""


class Delivered:
    """A record as Faust hands it over, in the form in which a `Batch` takes records."""

    __slots__ = ("_message",)

    def __init__(self, message: Any) -> None:
        self._message = message

    def topic(self) -> str:
        """See `Record`."""
        return str(self._message.topic)

    def partition(self) -> int:
        """See `Record`."""
        return int(self._message.partition)

    def offset(self) -> int:
        """See `Record`."""
        return int(self._message.offset)

    def timestamp(self) -> tuple[int, int]:
        """See `Record`. Faust has turned the milliseconds into seconds."""
        return int(self._message.timestamp_type or 0), round(self._message.timestamp * 1000)

    def key(self) -> bytes | None:
        """See `Record`."""
        key: bytes | None = self._message.key
        return key

    def value(self) -> bytes | None:
        """See `Record`."""
        value: bytes | None = self._message.value
        return value

    def headers(self) -> Headers | None:
        """See `Record`."""
        headers = self._message.headers
        return list(headers.items() if isinstance(headers, dict) else headers or ())


class FaustSession:
    """Runs the app until `close`. Nothing is acknowledged through Faust: `commit` says how far all was answered."""

    def __init__(self, make: Callable[[], faust.App], topic: str, place: Place) -> None:
        """`make` is called in the app's thread. Records of other partitions than that of `place` are left out."""
        self._make, self._topic, self._place = make, topic, place
        self._changed = threading.Condition()
        self._records: deque[Delivered] = deque()
        self._bytes = 0
        self._owned: frozenset[Place] = frozenset()
        self._revoked: list[Place] = []
        self._assigned: list[Place] = []
        self._started, self._closing = threading.Event(), threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._app: faust.App | None = None
        self._thread = threading.Thread(target=self._run, name="faust", daemon=True)

    def start(self) -> None:
        """Join the group."""
        self._thread.start()
        if not self._started.wait(_START_S):
            leave(f"Faust has not started for {_START_S:.0f} s.")

    def close(self) -> None:
        """Leave the group, within some seconds."""
        self._closing.set()
        self._thread.join(_STOP_S)
        if self._thread.is_alive():
            leave(f"Faust has not stopped for {_STOP_S:.0f} s.")

    def from_offset(self, offset: int, limit: int, limit_bytes: int, timeout_s: float) -> list[Delivered]:
        """What has been handed over from this offset on, in order; waits for the first record."""
        with self._changed:
            self._changed.wait_for(lambda: self._records and self._records[-1].offset() >= offset, timeout_s)
            found: list[Delivered] = []
            for record in self._records:
                if record.offset() >= offset:
                    found.append(record)
                    limit_bytes -= len(record.value() or b"")
                if len(found) >= limit or limit_bytes <= 0:
                    break
            return found

    def forget_before(self, place: Place, offset: int) -> None:
        """These were answered."""
        with self._changed:
            while place == self._place and self._records and self._records[0].offset() < offset:
                self._bytes -= len(self._records.popleft().value() or b"")

    def owned(self) -> frozenset[Place]:
        """The partitions of the topic that are ours."""
        return self._owned

    def take_changes(self) -> Changes:
        """Rebalances since the last call."""
        with self._changed:
            changes = Changes(tuple(self._revoked), tuple(self._assigned))
            self._revoked, self._assigned = [], []
            return changes

    def write(self, topic: str, rows: Sequence[tuple[Any, ...]], limit_s: float) -> None:
        """Write these (key, value, partition, headers), and wait for the acknowledgements."""

        async def written() -> None:
            to = self._faust.topic(topic, key_type=bytes, value_type=bytes)
            sent = [
                await to.send(key=key, value=value, partition=partition, headers=headers, force=True)
                for key, value, partition, headers in rows
            ]
            for one in sent:
                await one

        self._wait(written(), limit_s, f"writing to {topic}")

    def commit(self, partition: int, offset: int, metadata: str, limit_s: float) -> None:
        """Commit the next offset to be read, as it is said in Kafka: with metadata, which Faust itself never writes."""
        at = {TopicPartition(self._topic, partition): OffsetAndMetadata(offset, metadata)}
        thread = self._faust.consumer._thread
        committing = thread.call_thread(thread._ensure_consumer().commit, at)
        self._wait(committing, limit_s, f"committing offset {offset} of {self._topic}")

    @property
    def _faust(self) -> faust.App:
        assert self._app is not None, "start() comes first"
        return self._app

    def _wait(self, work: Coroutine[Any, Any, T], limit_s: float, doing: str) -> T:
        assert self._loop is not None, "start() comes first"
        doing_it = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return doing_it.result(limit_s)
        except TimeoutError as error:
            doing_it.cancel()
            raise RetriableError(f"{doing}: no answer for {limit_s:.0f} s. Is the broker well?") from error

    def _run(self) -> None:
        try:
            asyncio.run(self._live())
        except BaseException as error:
            leave(f"Faust has ended: {error!r}")

    async def _live(self) -> None:
        for name in ("aiokafka", "faust", "mode"):  # they tell of each step
            logging.getLogger(name).setLevel(logging.WARNING)
        self._loop = asyncio.get_running_loop()
        app = self._app = self._make()
        source = app.topic(self._topic, key_type=bytes, value_type=bytes)
        app.agent(source, concurrency=1, name=self._topic)(self._hand_over)
        app.on_partitions_revoked.connect(self._on_revoked)
        app.on_partitions_assigned.connect(self._on_assigned)
        await app.start()
        self._started.set()
        while not self._closing.is_set():
            await asyncio.sleep(_LOOK_S)
            if app.crashed or app.should_stop:
                leave(f"Faust has ended by itself: {app.crash_reason!r}")
        await app.stop()

    async def _hand_over(self, stream: Any) -> None:
        async for event in stream.noack().events():
            message = event.message
            while self._bytes > _MOST_BYTES and self._is_of_now(message):
                await asyncio.sleep(_LOOK_S)
            if message.partition != self._place.partition or not self._is_of_now(message):
                continue
            with self._changed:
                self._records.append(Delivered(message))
                self._bytes += len(message.value or b"")
                self._changed.notify_all()

    def _is_of_now(self, message: Any) -> bool:
        """False once a rebalance has overtaken it: the partition is read again from its committed offset."""
        return bool(message.generation_id == self._faust.consumer_generation_id)

    async def _on_revoked(self, _app: faust.App, revoked: Any, **_: Any) -> None:
        self._now_owned(self._owned - self._places(revoked))

    async def _on_assigned(self, _app: faust.App, assigned: Any, **_: Any) -> None:
        self._now_owned(self._places(assigned))

    def _places(self, partitions: Any) -> frozenset[Place]:
        return frozenset(Place(self._place.role, at.partition) for at in partitions if at.topic == self._topic)

    def _now_owned(self, owned: frozenset[Place]) -> None:
        """Each rebalance takes all and gives it anew, also where nothing changes hands."""
        with self._changed:
            self._records.clear()
            self._bytes = 0
            self._revoked += sorted(self._owned - {*self._assigned})
            self._owned, self._assigned = owned, sorted(owned)
