"""Models on their topic: half a publication is no model, and publishing again repairs whatever is missing."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any, cast

import pytest

from freshet.contracts.messages import Golden, Manifest
from freshet.contracts.topic_table import TopicNames
from freshet.models.artifact import CHUNK_BYTES, chunk_key, split
from freshet.models.model_error import ModelError
from freshet.runtime.artifacts import fetch_model, publish_model
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster, SimulatedCrash
from freshet.runtime.bus.protocol import Bus, Producer, Send
from freshet.runtime.feed import Feed

NAMES = TopicNames("", "p")
MODEL = bytes(range(256)) * 40 * 1024  # 20 chunks: more than go out at once


@pytest.fixture
def bus() -> MemoryBus:
    """A cluster without any model."""
    cluster = MemoryCluster()
    cluster.ensure(NAMES, 1)
    return MemoryBus(cluster, NAMES)


def manifest(data: bytes = MODEL) -> Manifest:
    """What its trainer says of these bytes."""
    return Manifest(
        pipeline="p",
        digest=sha256(data).hexdigest(),
        size_bytes=len(data),
        chunk_bytes=CHUNK_BYTES,
        chunk_digests=tuple(sha256(chunk).hexdigest() for chunk in split(data)),
        inputs=("a",),
        classes=(),
        input_name="x",
        output_name="y",
        opset=21,
        golden=Golden(rows=1, features=b"\0\0\0\0", scores=b"\0\0\0\0"),
        trainer="test",
    )


class Dying:
    """A producer whose process dies after so many sends."""

    def __init__(self, producer: Producer, sends: int) -> None:
        self._producer, self._left = producer, sends

    def send(self, send: Send, within_s: float | None = None) -> list[int]:
        """Write, or die."""
        self._left -= 1
        if self._left < 0:
            raise SimulatedCrash
        return self._producer.send(send, within_s)

    def close(self) -> None:
        """Nothing to free."""


def candidates(bus: MemoryBus) -> Iterable[str]:
    """The digests of all that ask for admission."""
    return [fact.key for fact in Feed(bus.reader(["candidates"])).facts()]


def write(bus: MemoryBus, index: int, chunk: bytes) -> int:
    """Append one chunk of the model; its offset."""
    (offset,) = bus.producer().send(Send("artifacts", [chunk_key(manifest().digest, index).encode()], [chunk]))
    return offset


@pytest.mark.parametrize("sends", [0, 1, 2], ids=["before any chunk", "between chunks", "before the candidate"])
def test_a_publisher_that_dies_half_way_has_asked_for_nothing(bus: MemoryBus, sends: int) -> None:
    """No candidate names what lies there; publishing again, whole, is all that is needed."""
    with pytest.raises(SimulatedCrash):
        publish_model(Dying(bus.producer(), sends), MODEL, manifest())
    assert candidates(bus) == []
    candidate, _ = publish_model(bus.producer(), MODEL, manifest())
    assert candidates(bus) == [f"p/{manifest().digest}"]
    assert fetch_model(manifest(), candidate.chunk_offsets, bus).bytes() == MODEL


def test_damaged_chunks_do_not_count(bus: MemoryBus) -> None:
    """Somebody wrote other bytes under the same key, before and after: the right ones are found all the same."""
    write(bus, 3, b"damaged")
    candidate, _ = publish_model(bus.producer(), MODEL, manifest())
    write(bus, 5, b"damaged")
    assert fetch_model(manifest(), candidate.chunk_offsets, bus).bytes() == MODEL
    assert fetch_model(manifest(), (), bus).bytes() == MODEL, "without a hint, the damaged one comes first"


def test_a_missing_chunk_is_named_and_publishing_it_again_repairs(bus: MemoryBus) -> None:
    """The worker's verdict says what is gone; a repeat of the same bytes has the same keys."""
    chunks = split(MODEL)
    offsets = tuple(write(bus, index, chunk) for index, chunk in enumerate(chunks) if index != 7)
    with pytest.raises(ModelError, match="no valid chunk 7") as refused:
        fetch_model(manifest(), offsets, bus)
    assert refused.value.reason == "artifact_missing"
    write(bus, 7, chunks[7])
    assert fetch_model(manifest(), offsets, bus).bytes() == MODEL


class Slow:
    """A bus whose reads take a while each, by a clock of its own."""

    def __init__(self, bus: MemoryBus, read_s: float, *, deaf: bool = False) -> None:
        self._bus, self._read_s, self._deaf = bus, read_s, deaf
        self.now_s, self.records = 0.0, 0

    def reader(self, roles: Any, start: Any = None) -> Any:
        """A reader that takes its time."""
        inner, bus = self._bus.reader(roles, start), self

        class Reader:
            def read(self, limit: int, timeout_s: float) -> Any:
                bus.now_s += bus._read_s
                found = [] if bus._deaf else inner.read(1, timeout_s)
                bus.records += sum(len(batch.values) for batch in found)
                return found

            def caught_up(self) -> bool:
                return not bus._deaf and inner.caught_up()

            def close(self) -> None:
                inner.close()

        return Reader()


def test_a_slow_topic_is_read_to_its_end(bus: MemoryBus) -> None:
    """What counts is that records come: a long way to the chunks is no broker that does not answer."""
    hint = write(bus, 0, b"damaged")
    for index, chunk in enumerate(split(MODEL)):
        write(bus, index, chunk)
    slow = Slow(bus, 50.0)
    assert fetch_model(manifest(), (hint + 20,), cast(Bus, slow), lambda: slow.now_s).bytes() == MODEL
    assert slow.now_s > 1000


def test_chunks_that_are_nowhere_are_missing_however_long_it_takes(bus: MemoryBus) -> None:
    """Not `unreachable`, which would be tried again for ever; and nothing behind the hint is read twice."""
    for index, chunk in enumerate(split(MODEL)[:-1]):
        write(bus, index, chunk)
    slow = Slow(bus, 50.0)
    with pytest.raises(ModelError) as refused:
        fetch_model(manifest(), (10,), cast(Bus, slow), lambda: slow.now_s)
    assert refused.value.reason == "artifact_missing"
    assert slow.records <= len(split(MODEL))


def test_a_topic_that_gives_nothing_is_unreachable(bus: MemoryBus) -> None:
    """A broker that does not answer is no verdict on the model."""
    write(bus, 0, split(MODEL)[0])
    slow = Slow(bus, 1.0, deaf=True)
    with pytest.raises(ModelError) as refused:
        fetch_model(manifest(), (), cast(Bus, slow), lambda: slow.now_s)
    assert refused.value.reason == "artifact_unreachable"
