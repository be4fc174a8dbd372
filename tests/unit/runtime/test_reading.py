"""Reading all that a topic holds, while the broker is in trouble."""

from collections.abc import Iterator

import pytest

from freshet.contracts.batch import Batch
from freshet.contracts.topic_table import TopicNames
from freshet.operate.facts import read
from freshet.operate.verify.visible import Horizon, Patience
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.memory.memory_reader import MemoryLogReader
from freshet.runtime.bus.protocol import FatalError, RetriableError, Send
from freshet.runtime.reading import everything

MOVED = RetriableError("reading events/0: the leader is another one.")


@pytest.fixture
def bus() -> MemoryBus:
    """A topic with one record."""
    cluster, names = MemoryCluster(), TopicNames("", "p")
    cluster.ensure(names, 1)
    bus = MemoryBus(cluster, names)
    bus.producer().send(Send("events", [b"k"], [b"v"]), 1.0)
    return bus


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was slept, instead of sleeping."""
    slept: list[float] = []
    monkeypatch.setattr("freshet.runtime.reading.time.sleep", slept.append)
    return slept


def first(errors: Iterator[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let reads raise these before they read."""
    read = MemoryLogReader.read

    def troubled(reader: MemoryLogReader, limit: int, timeout_s: float) -> list[Batch]:
        for error in errors:
            raise error
        return read(reader, limit, timeout_s)

    monkeypatch.setattr(MemoryLogReader, "read", troubled)


def test_a_change_of_leaders_is_waited_out(bus: MemoryBus, monkeypatch: pytest.MonkeyPatch, slept: list[float]) -> None:
    """Nothing is lost, and it waits between two attempts."""
    first(iter([MOVED] * 3), monkeypatch)
    assert [value for batch in everything(bus, "events") for value in batch.values] == [b"v"]
    assert len(slept) == 3


def test_a_change_of_leaders_is_waited_out_where_a_command_reads_control_topics(
    bus: MemoryBus, monkeypatch: pytest.MonkeyPatch, slept: list[float]
) -> None:
    """`model list`, for one, has no loop that would read again."""
    bus.producer().send(Send("models", [b"k"], [None]), 1.0)
    first(iter([MOVED] * 3), monkeypatch)
    assert [fact.key for fact in read(bus, "models")] == ["k"]
    assert len(slept) == 3


def test_control_topics_that_stay_away_end_it_with_their_cause(
    bus: MemoryBus, monkeypatch: pytest.MonkeyPatch, slept: list[float]
) -> None:
    """The sentence names what the broker said."""
    bus.producer().send(Send("models", [b"k"], [None]), 1.0)
    first(iter([MOVED] * 1000), monkeypatch)
    monkeypatch.setattr("time.monotonic", lambda: sum(slept))
    with pytest.raises(RetriableError, match=r"gave nothing for 30 s: .*the leader is another one"):
        read(bus, "models")


@pytest.mark.parametrize("how", ["everything", "horizon"])
def test_whoever_works_long_on_a_batch_hears_of_no_silence(
    bus: MemoryBus, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """On Kafka an end may be told by a read without records: silence is what the broker keeps, not its reader."""
    read, now_s = MemoryLogReader.read, [0.0]

    def slow_end(reader: MemoryLogReader, limit: int, timeout_s: float) -> list[Batch]:
        found = read(reader, limit, timeout_s)
        monkeypatch.setattr(MemoryLogReader, "caught_up", lambda _: not found)
        return found

    horizon = Horizon(bus, ("events",))
    monkeypatch.setattr(MemoryLogReader, "read", slow_end)
    monkeypatch.setattr(MemoryLogReader, "caught_up", lambda _: False)
    monkeypatch.setattr("time.monotonic", lambda: now_s[0])
    batches = everything(bus, "events") if how == "everything" else horizon.read(bus, "events", Patience())
    for batch in batches:
        assert batch.values == [b"v"]
        now_s[0] += 3600


def test_trouble_that_stays_ends_it_with_its_cause(
    bus: MemoryBus, monkeypatch: pytest.MonkeyPatch, slept: list[float]
) -> None:
    """After half a minute, and the error says what the broker said."""
    first(iter([MOVED] * 1000), monkeypatch)
    with pytest.raises(RetriableError, match=r"gave nothing for 30 s: .*the leader is another one"):
        list(everything(bus, "events"))
    assert 25 < sum(slept) < 35


def test_what_never_passes_is_raised_at_once(
    bus: MemoryBus, monkeypatch: pytest.MonkeyPatch, slept: list[float]
) -> None:
    """A lack of rights, for one."""
    first(iter([FatalError("no right")]), monkeypatch)
    with pytest.raises(FatalError, match="no right"):
        list(everything(bus, "events"))
    assert not slept


def test_trouble_that_has_passed_is_not_told_of_a_silence_that_came_later(
    bus: MemoryBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One error, then a record, then nothing more although more was announced."""
    records = [*everything(bus, "events")]
    coming: Iterator[RetriableError | list[Batch]] = iter([MOVED, records])

    def read(reader: MemoryLogReader, limit: int, timeout_s: float) -> list[Batch]:
        next_one = next(coming, [])
        if isinstance(next_one, Exception):
            raise next_one
        return next_one

    monkeypatch.setattr(MemoryLogReader, "read", read)
    monkeypatch.setattr(MemoryLogReader, "caught_up", lambda _: False)
    with pytest.raises(RetriableError, match=r"gave nothing for 30 s\. Is the broker well"):
        list(everything(bus, "events"))
