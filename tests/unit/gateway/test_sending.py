"""The gateway's writer: which of the jobs that wait are still worth writing when their turn comes."""

import pytest

from freshet.client.event_records import Records
from freshet.contracts.topic_table import TopicNames
from freshet.gateway.sending import NothingWrittenError, Sending
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster


class Clock:
    """A time that moves when it is told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now_s


@pytest.fixture
def bus() -> MemoryBus:
    """With one partition."""
    cluster, names = MemoryCluster(), TopicNames("", "p")
    cluster.ensure(names, 1)
    return MemoryBus(cluster, names)


def event(name: str) -> Records:
    """One record."""
    return Records("events", [name], [name], [name.encode()], [b"value"])


def test_what_waited_too_long_is_not_written(bus: MemoryBus) -> None:
    """Its caller must hear within the time of an acknowledgement, and may send it again without a second copy."""
    clock = Clock()
    sending = Sending(bus, clock)
    late = sending.submit(event("late"))
    clock.now_s += 10.5
    fresh = sending.submit(event("fresh"))
    sending.end()
    sending.run()
    assert fresh.result(0) == [(0, 0)]
    with pytest.raises(NothingWrittenError, match="Send it again"):
        late.result(0)
    assert bus.spans("events")[0].end == 1


def test_a_cancelled_job_is_passed_over(bus: MemoryBus) -> None:
    """Nothing of it is written, and those behind it are."""
    sending = Sending(bus)
    gone, behind = sending.submit(event("gone")), sending.submit(event("behind"))
    assert gone.cancel()
    sending.end()
    sending.run()
    assert behind.result(0) == [(0, 0)]
    assert bus.spans("events")[0].end == 1
