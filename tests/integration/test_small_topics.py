"""On a real broker whose output topics take little: nothing is lost, and hardly a transaction is refused."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from freshet.contracts.batch import Batch, Headers, Record
from freshet.contracts.logic import DeadLetter, Effect, Logic, Publish
from freshet.contracts.topic_table import TopicNames, topic_table
from freshet.operate.records import headers_of
from freshet.runtime import failpoints
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.bus.protocol import Send, TooLargeError, Transaction
from freshet.runtime.clock import SystemClock
from freshet.runtime.data_loop import DataLoop
from freshet.runtime.jobs import InlineJobs
from freshet.runtime.record_size import lone_batch_bytes
from freshet.runtime.service import no_jobs
from freshet.runtime.telemetry import Metrics
from freshet.runtime.topic_plan import topic_configs
from support.buses import opened, read_all, send, until, write

pytestmark = pytest.mark.kafka

CAP_BYTES = 20_000


@dataclass
class Transactions:
    """How many were begun and how many committed since the test began."""

    reached: Counter[str] = field(default_factory=Counter)

    @property
    def refused(self) -> int:
        """Those that were begun in vain."""
        return self.reached["begun"] - self.reached["committed"]


@pytest.fixture
def transactions(monkeypatch: pytest.MonkeyPatch) -> Transactions:
    """Counts at the places where a process can be made to fail."""
    counted = Transactions()
    monkeypatch.setattr(failpoints, "reached", lambda step: counted.reached.update([step]))
    return counted


class Sorting(Logic):
    """Ingestion in short: what begins with `bad` is set aside, the rest is published."""

    reads = ("events",)

    def on_batch(self, batch: Batch) -> Iterable[Effect]:
        """A feature or a letter a row."""
        values = [value or b"" for value in batch.values]
        bad = [row for row, value in enumerate(values) if value.startswith(b"bad")]
        good = [value for value in values if value.startswith(b"good")]
        yield Publish("features", [None] * len(good), good, [0] * len(good))
        if bad:
            yield DeadLetter(np.array(bad), "input_test", ["a test says so"] * len(bad))


class Scoring(Logic):
    """Inference in short: answers each row with 400 bytes, those that say `much` with 30,000."""

    reads = ("features",)

    def on_batch(self, batch: Batch) -> Iterable[Effect]:
        """An answer a row."""
        rows = [value or b"" for value in batch.values]
        values = [value + b"x" * (30_000 if value == b"much" else 400) for value in rows]
        yield Publish("predictions", [None] * len(values), values, [0] * len(values))


@dataclass
class Stand:
    """A pipeline of one partition on real Kafka, with small topics."""

    kafka: str
    names: TopicNames

    def __post_init__(self) -> None:
        self.bus = KafkaBus(self.kafka, self.names, transaction_timeout_ms=5000)

    def forbid_asking(self) -> None:
        """As without the right DESCRIBE_CONFIGS."""
        self.bus._max_message_bytes = lambda role: None  # type: ignore[method-assign]

    def topics(self, *roles: str, small: str) -> None:
        """Create them, one of them small."""
        admin = KafkaAdmin(self.kafka)
        for role in roles:
            configs: dict[str, Any] = dict(topic_configs(topic_table()[role]))
            if role == small:
                configs["max.message.bytes"] = str(CAP_BYTES)
            admin.create(self.names.topic(role), 1, configs)

    def loop(self, logic: Logic, service: str) -> DataLoop:
        """A loop of that service."""
        return DataLoop(
            logic,
            self.bus,
            self.names,
            service=service,
            slot="0",
            fixed_slot=True,
            jobs=InlineJobs(no_jobs),
            clock=SystemClock(),
            metrics=Metrics(),
        )

    def records(self, role: str, count: int) -> list[Record]:
        """All that the topic holds, once there are so many: the end of a commit may be seen a little later."""
        found: list[Record] = []

        def enough() -> bool:
            found[:] = read_all(self.bus, role)
            return len(found) >= count

        until(enough)
        return found


@pytest.fixture
def stand(kafka: str, namespace: str) -> Stand:
    """A namespace of this test's own."""
    return Stand(kafka, TopicNames(namespace, "p"))


@pytest.mark.parametrize(("told", "refused"), [(True, 1), (False, 6)])
def test_a_small_dead_letters_topic_hardly_slows_ingestion(
    stand: Stand, transactions: Transactions, told: bool, refused: int
) -> None:
    """Letters that fit one by one are more than a record batch may hold; some do not fit even alone."""
    if not told:
        stand.forbid_asking()
    stand.topics("events", "features", "dead-letters", small="dead-letters")
    rows = [b"bad %04d " % row + b"y" * (30_000 if row % 500 == 0 else 300) for row in range(0, 2000, 2)]
    good = [b"good %04d" % row for row in range(1, 2000, 2)]
    write(stand.bus, "events", *[value for pair in zip(rows, good, strict=True) for value in pair])
    loop = stand.loop(Sorting(), "ingestion")

    answered = 0

    def done() -> bool:
        nonlocal answered
        answered += loop.step(0.1)
        return answered >= 2000

    until(done)
    loop.close()
    assert [record.value() for record in stand.records("features", 1000)] == good
    letters = stand.records("dead-letters", 1000)
    assert [int(headers_of(letter.headers())["freshet.offset"]) for letter in letters] == list(range(0, 2000, 2))
    assert transactions.refused <= refused


def test_a_small_output_topic_hardly_slows_inference(stand: Stand, transactions: Transactions) -> None:
    """A hundred answers are more than a record batch may hold; two rows' answers are set aside, once each."""
    stand.topics("features", "predictions", "dead-letters", small="predictions")
    rows = [b"much" if row in (150, 777) else b"%04d" % row for row in range(1000)]
    write(stand.bus, "features", *rows)
    loop = stand.loop(Scoring(), "inference")
    answered = 0

    def done() -> bool:
        nonlocal answered
        answered += loop.step(0.1)
        return answered >= 998

    until(done)
    found = [record.value() or b"" for record in stand.records("predictions", 998)]
    assert [value[:4] for value in found] == [row for row in rows if row != b"much"]
    letters = stand.records("dead-letters", 2)
    loop.close()
    assert [headers_of(letter.headers())["freshet.reason"] for letter in letters] == ["input_output_too_large"] * 2
    assert transactions.refused <= 1


class Late(list[bytes]):
    """Rows that come only after the broker has answered to what was sent before them."""

    def __iter__(self) -> Iterator[bytes]:
        for value in super().__iter__():
            time.sleep(0.5)
            yield value


def test_what_is_refused_while_rows_are_still_handed_over_is_too_large_too(stand: Stand) -> None:
    """The client then takes no more rows ("Erroneous state"): that is not the end of it, only of this transaction."""
    stand.topics("predictions", "dead-letters", small="predictions")
    producer = opened(stand.bus)
    late = Late([b"late"] * 3)
    with pytest.raises(TooLargeError):
        producer.commit(
            Transaction(
                [send("predictions", *[b"x" * 400] * 200), replace(send("dead-letters", b"", b"", b""), values=late)]
            )
        )
    producer.commit(Transaction([send("predictions", *[b"x" * 400] * 200)]))
    assert len(stand.records("predictions", 200)) == 200


@pytest.mark.parametrize("reopen", [True, False])
@pytest.mark.parametrize("headers", [None, [("a", b"b" * 70), ("none", None)]])
def test_sizes_are_those_of_the_broker(stand: Stand, reopen: bool, headers: Headers | None) -> None:
    """A record as large as the topic takes passes, one with a byte more is not even sent."""
    stand.topics("predictions", small="predictions")
    producer = opened(stand.bus, reopen=reopen)

    def record(size_bytes: int) -> Send:
        value = b"v" * (size_bytes - lone_batch_bytes(b"key", b"v" * (size_bytes - 300), headers) + size_bytes - 300)
        assert lone_batch_bytes(b"key", value, headers) == size_bytes
        return Send("predictions", [b"key"], [value], [0], [headers] if headers is not None else None)

    if reopen:  # it asks what the topic takes only once something was refused
        with pytest.raises(TooLargeError):
            producer.commit(Transaction([record(CAP_BYTES + 1)]))
    producer.commit(Transaction([record(CAP_BYTES)]))
    with pytest.raises(TooLargeError, match=f"{CAP_BYTES + 1} bytes is more than the topic takes"):
        producer.commit(Transaction([record(CAP_BYTES + 1)]))
    assert len(stand.records("predictions", 1)) == 1
