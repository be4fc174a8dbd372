"""What the bus in memory alone can show: simulated crashes, its own clock, retention and compaction on demand."""

import pytest

from freshet.contracts.errors import ContractError
from freshet.runtime.bus.memory import STEPS, SimulatedCrash, Step
from freshet.runtime.bus.protocol import (
    Committed,
    FatalError,
    Place,
    RefusedError,
    RetriableError,
    Send,
    Span,
    Transaction,
)
from support.buses import MemoryWorld, collect, gather, member, opened, read_all, send, settled, values_of, write


@pytest.fixture
def world() -> MemoryWorld:
    """A cluster with two of a pipeline's topics, two partitions each, and two control topics."""
    world = MemoryWorld()
    world.make_topics("events", "predictions", "models", "rollouts")
    return world


def test_each_ended_transaction_takes_one_offset_in_each_partition_it_touched(world: MemoryWorld) -> None:
    """Committed or aborted, the marker leaves a gap exactly where Kafka has one; untouched partitions have none."""
    producer = opened(world.bus)
    producer.commit(Transaction([send("predictions", b"a", b"b", partition=0), send("predictions", b"x", partition=1)]))
    world.crash(producer, Transaction([send("predictions", b"dead", partition=0)]), "produced")
    opened(world.bus).commit(Transaction([send("predictions", b"c", partition=0)]))
    offsets = [(record.partition(), record.offset()) for record in read_all(world.bus, "predictions")]
    assert offsets == [(0, 0), (0, 1), (0, 5), (1, 0)]
    assert world.bus.spans("predictions") == {0: Span(0, 7, 7), 1: Span(0, 2, 2)}


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_leaves_what_a_killed_process_would(world: MemoryWorld, step: Step) -> None:
    """Before `committed` nothing is ever seen, from there on all of it; offsets go with the records."""
    consumer = settled(world.bus, "events", owns=2)
    place = Place("events", 0)
    transaction = Transaction([send("predictions", b"row")], {place: Committed(1)}, consumer.membership())
    world.crash(opened(world.bus), transaction, step)
    opened(world.bus)
    survived = step == "committed"
    assert values_of(read_all(world.bus, "predictions")) == ([b"row"] if survived else [])
    assert consumer.committed([place], 0.0)[place] == (Committed(1) if survived else None)


def test_a_dead_producers_transaction_ends_with_its_timeout(world: MemoryWorld) -> None:
    """Without a successor the cluster's clock aborts it: rows behind it appear, and the dead one is fenced."""
    dead = opened(world.bus, "0")
    world.crash(dead, Transaction([send("predictions", b"dead")]), "offsets_sent")
    opened(world.bus, "1").commit(Transaction([send("predictions", b"alive")]))
    world.cluster.advance(14_999)
    assert read_all(world.bus, "predictions") == []
    world.cluster.advance(1)
    assert values_of(read_all(world.bus, "predictions")) == [b"alive"]
    with pytest.raises(FatalError):
        dead.commit(Transaction([send("predictions", b"zombie")]))


@pytest.mark.parametrize("step", ["begun", "produced", "offsets_sent"])
def test_a_successor_that_opens_inside_a_commit_wins(world: MemoryWorld, step: Step) -> None:
    """A process that slept at any step of its commit is fenced when it goes on; nothing of it is seen."""
    sleeper = opened(world.bus)

    def overtake(reached: Step, _transactional_id: str) -> None:
        if reached == step:
            opened(world.bus)

    world.cluster.failpoint = overtake
    with pytest.raises(FatalError):
        sleeper.commit(Transaction([send("rollouts", b"7")]))
    assert read_all(world.bus, "rollouts") == []


def test_a_refusal_by_the_broker_aborts_and_the_producer_goes_on(world: MemoryWorld) -> None:
    """RefusedError from the failpoint, or a topic that is not there: nothing is seen, the next commit is."""
    producer = opened(world.bus)

    def refuse(step: Step, transactional_id: str) -> None:
        if step == "offsets_sent":
            raise RefusedError(f"{transactional_id} was refused.")

    world.cluster.failpoint = refuse
    with pytest.raises(RefusedError):
        producer.commit(Transaction([send("predictions", b"a")]))
    world.cluster.failpoint = None
    with pytest.raises(RefusedError, match="does not exist"):
        producer.commit(Transaction([send("predictions", b"b"), send("labels", b"b")]))
    producer.commit(Transaction([send("predictions", b"c")]))
    assert values_of(read_all(world.bus, "predictions")) == [b"c"]


def test_a_crashed_producer_cannot_go_on(world: MemoryWorld) -> None:
    """Its transaction is open: a test that uses the dead client by mistake hears of it."""
    dead = opened(world.bus)
    world.crash(dead, Transaction([send("predictions", b"a")]), "produced")
    with pytest.raises(FatalError, match="crashed"):
        dead.commit(Transaction([send("predictions", b"b")]))


def test_no_exception_handler_of_the_product_catches_a_simulated_crash() -> None:
    """SIGKILL cannot be handled: `except Exception` must not see it."""
    assert not issubclass(SimulatedCrash, Exception)


def test_compaction_keeps_the_last_of_each_key_at_its_offset(world: MemoryWorld) -> None:
    """Below the last stable offset only; tombstones stay, offsets and ends do not move, and a reader comes through."""
    for key, value in ((b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (b"b", None)):
        write(world.bus, "models", value, key=key)
    world.crash(opened(world.bus), Transaction([send("models", b"open", key=b"a")]), "produced")
    world.cluster.compact(world.names.topic("models"))
    assert [(record.offset(), record.value()) for record in read_all(world.bus, "models")] == [(2, b"2"), (3, None)]
    assert world.bus.spans("models") == {0: Span(0, 4, 5)}


def test_retention_overtakes_a_reader_but_tells_a_consumer(world: MemoryWorld) -> None:
    """A marker below the new low is no loss; a reader goes on at what is left."""
    producer = opened(world.bus)
    for value in (b"a", b"b"):
        producer.commit(Transaction([send("events", value)]))
    place = Place("events", 0)
    reader = world.bus.reader(["events"])
    consumer = settled(world.bus, "events", owns=2)
    consumer.start(place, 0)
    assert gather(consumer, 2) == [(place, 0, b"a"), (place, 2, b"b")]
    world.cluster.truncate(world.names.topic("events"), 0, 4)
    assert collect(consumer) is None, "the consumer stands behind the marker at 3: nothing was lost"
    assert reader.read(10, 0.0) == []
    assert reader.caught_up()


def test_timestamps_are_the_clusters_clock(world: MemoryWorld) -> None:
    """Every record carries the moment at which the broker got it, of the LogAppendTime kind."""
    write(world.bus, "events", b"a")
    world.cluster.advance(7)
    write(world.bus, "events", b"b")
    first, second = read_all(world.bus, "events")
    assert first.timestamp() == (2, world.cluster.now_ms - 7)
    assert second.timestamp() == (2, world.cluster.now_ms)


def test_null_keys_take_turns(world: MemoryWorld) -> None:
    """Without a key and a partition the partitions are used one after the other, in every run alike."""
    world.bus.producer().send(Send("events", [None] * 4, [b"a", b"b", b"c", b"d"]))
    placed = {record.value(): record.partition() for record in read_all(world.bus, "events")}
    assert placed == {b"a": 0, b"b": 1, b"c": 0, b"d": 1}


def test_a_busy_partition_does_not_starve_another(world: MemoryWorld) -> None:
    """Two small collects see both partitions, although the first alone could fill them."""
    for partition in (0, 1):
        write(world.bus, "events", *[b"row"] * 10, partition=partition)
    consumer = settled(world.bus, "events", owns=2)
    for place in consumer.owned():
        consumer.start(place, 0)
    seen: set[int] = set()
    for _ in range(2):
        collected = collect(consumer, limit=3)
        assert collected is not None
        seen |= {record.partition() for batch in collected.batches for record in batch.records}
    assert seen == {0, 1}


def test_a_collect_ends_when_its_bytes_are_full(world: MemoryWorld) -> None:
    """The limit of bytes counts over all partitions; the record that crosses it is still in, and nothing is skipped."""
    for partition in (0, 1):
        write(world.bus, "events", *[bytes(100)] * 3, partition=partition)
    consumer = settled(world.bus, "events", owns=2)
    for place in consumer.owned():
        consumer.start(place, 0)
    sizes = []
    while (collected := consumer.collect(100, 150, 0.0)) is not None:
        sizes.append(sum(len(batch) for batch in collected.batches))
    assert sizes == [2, 2, 2]


def test_what_is_not_there_is_said(world: MemoryWorld) -> None:
    """Unknown partition, foreign partition, unknown role, oversize state: each has its error."""
    producer = world.bus.producer()
    with pytest.raises(RetriableError, match="2 partitions"):
        producer.send(send("events", b"a", partition=2))
    with pytest.raises(FatalError, match="larger"):
        producer.send(send("models", bytes(2_000_000)))
    with pytest.raises(ContractError):
        producer.send(send("nowhere", b"a"))
    with pytest.raises(FatalError, match="not ours"):
        member(world.bus, "events").start(Place("events", 0), 0)


def test_the_world_may_act_before_each_call_of_a_client(world: MemoryWorld) -> None:
    """The hook hears of every call with its client's name, and what it raises is what the caller gets."""
    heard: list[tuple[str, str]] = []
    world.cluster.before = lambda client, operation: heard.append((client, operation))
    consumer, producer, reader = member(world.bus, "events"), opened(world.bus), world.bus.reader(["models"])
    collect(consumer)
    producer.commit(Transaction([send("rollouts", b"1")]))
    reader.read(1, 0.0)
    world.bus.spans("events")
    assert heard == [
        ("bus", "consumer"),
        ("test.freshet.inference.fraud.0", "open"),
        ("bus", "reader"),
        ("member-0001", "collect"),
        ("test.freshet.inference.fraud.0", "commit"),
        ("reader", "read"),
        ("bus", "spans"),
    ]

    def strike(_client: str, operation: str) -> None:
        if operation == "commit":
            raise SimulatedCrash

    world.cluster.before = strike
    with pytest.raises(SimulatedCrash):
        producer.commit(Transaction([send("rollouts", b"2")]))
    world.cluster.before = None
    assert values_of(read_all(world.bus, "rollouts")) == [b"1"]


def test_a_fetch_may_give_less_than_there_is(world: MemoryWorld) -> None:
    """A reader that lags behind is not caught up, and misses nothing in the end."""
    write(world.bus, "rollouts", b"1", b"2", b"3")
    reader = world.bus.reader(["rollouts"])
    world.cluster.stale = lambda _client, _log: 1
    assert values_of([record for batch in reader.read(100, 0.0) for record in batch.records]) == [b"1"]
    assert not reader.caught_up()
    world.cluster.stale = None
    assert values_of([record for batch in reader.read(100, 0.0) for record in batch.records]) == [b"2", b"3"]
    assert reader.caught_up()
