"""Everything that is changed in Faust. It fits one release; with any other, importing this file is refused.

What is wrong there, as seen behind producers with transactions:

* It reads records of transactions that were aborted.
* A transaction marker is an offset without a record. Faust counts such gaps wrongly: it commits one transaction an
  interval, and nothing ever again if the marker follows the record at offset 0.
* After a table was recovered, partitions are resumed before they are set to their committed offsets. What was fetched
  in between is dropped and not fetched again.
* A record that could not be written is a warning, and the offset behind it is committed all the same.
* A record whose acknowledgement was lost is written twice.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Final

import aiokafka
import faust
import faust.streams
from faust.sensors.base import Sensor
from faust.tables.recovery import Recovery
from faust.transport.drivers import aiokafka as driver

from freshet.drift.faust.faust_exit import leave
from freshet.runtime.settings import SettingsError

_RELEASE: Final = "0.15.3"
_READ_COMMITTED: Final = 1

if faust.__version__ != _RELEASE:
    raise SettingsError(
        f"Freshet corrects faults of faust-streaming {_RELEASE} that lose records, and does not know whether "
        f"{faust.__version__} has them: pip install 'faust-streaming=={_RELEASE}'."
    )
if faust.streams._CStreamIterator is None:
    raise SettingsError(
        "this faust-streaming was built without its C extension; without it Faust acknowledges records that it skips. "
        "Install a wheel for this platform."
    )


class _Thread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Reads what was committed, and nothing else."""

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"
        return consumer

    async def on_start(self) -> None:
        await super().on_start()
        assert self._consumer is not None
        if self._consumer._fetcher._isolation_level != _READ_COMMITTED:
            leave("the client would read records of aborted transactions: aiokafka has changed.")


class _Consumer(driver.Consumer):  # type: ignore[misc]
    """Counts gaps as they are, and resumes partitions only after they were set to their committed offsets."""

    _held: set[Any] | None = None

    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    async def _add_gap(self, tp: Any, offset_from: int, offset_to: int) -> None:
        await super()._add_gap(tp, offset_from, offset_to - 1)  # offset_to is the offset of a record

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[Any, Any]]:
        async for tp, message in super().getmany(timeout):
            if self._read_offset.get(tp) == 0 and message.offset > 1:  # takes offset 0 for "nothing read yet"
                await self._add_gap(tp, 1, message.offset)
            yield tp, message

    def resume_partitions(self, tps: Iterable[Any]) -> None:
        if self._held is None:
            super().resume_partitions(tps)
        else:
            self._held.update(tps)

    def hold(self) -> None:
        """Resume nothing until `release`."""
        self._held = set()

    def release(self) -> None:
        """Resume what was to be resumed meanwhile."""
        held, self._held = self._held, None
        if held:
            self.resume_partitions(held)


class _Producer(driver.Producer):  # type: ignore[misc]
    """Writes each record once, also where an acknowledgement was lost; Faust asks for that in transactions only."""

    def _settings_default(self) -> Mapping[str, Any]:
        return {**super()._settings_default(), "acks": "all", "enable_idempotence": True}


class _Transport(driver.Transport):  # type: ignore[misc]
    Consumer = _Consumer
    Producer = _Producer


class _Recovery(Recovery):  # type: ignore[misc]
    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        consumer = self.app.consumer
        consumer.hold()
        try:
            await super().on_recovery_completed(generation_id)
        finally:
            consumer.release()


class _NothingLost(Sensor):  # type: ignore[misc]
    def on_send_error(self, producer: Any, exc: BaseException, state: Any) -> None:  # noqa: ARG002
        leave(f"a record could not be written, and Faust would go on: {exc!r}")


def correct(app: faust.App) -> None:
    """Apply all of it to an app that was not started yet, except for `end_at_lost_records`."""
    app.transport = _Transport(app.conf.broker_consumer, app)
    app.producer_transport = _Transport(app.conf.broker_producer, app)
    app.tables._recovery = _Recovery(app, app.tables, beacon=app.tables.beacon, loop=app.tables.loop)


def end_at_lost_records(app: faust.App) -> None:
    """End the process when a record cannot be written. Not needed where every send is awaited: that raises."""
    app.sensors.add(_NothingLost())
