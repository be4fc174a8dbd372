"""Traces of docs/traces.md that take several processes: each is played as it is told there, without chance."""

from collections.abc import Iterable, Iterator
from random import Random

import numpy as np
import pytest

from freshet.avro import Strings
from freshet.avro.framed import FramedReader
from freshet.avro.own_schemas import event_schema_id
from freshet.contracts.batch import Batch
from freshet.contracts.logic import Effect
from freshet.contracts.messages import Cutover, Rollout, WorkerState
from freshet.contracts.topic_id import to_text
from freshet.runtime.bus.memory import Step
from freshet.runtime.bus.protocol import Send
from freshet.runtime.reading import everything
from support.loops import NAMES as LOOP_NAMES
from support.loops import Answerer, Stand
from support.simulation import pipeline
from support.simulation.cheap import cheaply
from support.simulation.processes import Process
from support.simulation.world import NAMES, World


@pytest.fixture(autouse=True)
def _cheaply() -> Iterator[None]:
    with cheaply():
        yield


@pytest.fixture
def world() -> World:
    """A pipeline whose rollouts start at once and whose models all work; one registry."""
    world = World(Random(1))
    world.minds.well = True
    world.apply("immediate")
    world.processes.remove(process(world, "registry-b"))
    turn(world, *world.processes, times=12)
    assert world.serving() == "1.0.0"
    return world


def process(world: World, name: str) -> Process:
    """The process of that name."""
    return next(process for process in world.processes if process.name == name)


def turn(world: World, *processes: Process, times: int = 1) -> None:
    """So many turns of these, a second apart; the dead are started."""
    for _ in range(times):
        world.cluster.advance(1_000)
        for one in processes:
            one.start()
            one.step()


def rollouts(world: World) -> dict[int, str]:
    """The phase of each epoch."""
    return {message.epoch: message.phase for message in world.messages("rollouts") if isinstance(message, Rollout)}


def test_heartbeats_after_an_acknowledgement_do_not_hide_it(world: World) -> None:
    """A5: the registry is away while workers load, beat on, and compaction keeps their last records alone."""
    registry, workers = process(world, "registry-a"), world.of("inference")
    world.offer("sound-1")
    while 2 not in rollouts(world):
        turn(world, registry)
    registry.kill()
    turn(world, *workers, times=20)
    world.cluster.compact(NAMES.topic("workers"))
    states = [message for message in world.messages("workers") if isinstance(message, WorkerState)]
    asked = [state for state in states if state.service == "inference"]
    assert len(asked) == 3
    assert all(2 in {prepared.epoch for prepared in state.prepared} for state in asked)
    assert rollouts(world)[2] == "prepare"
    turn(world, registry, times=3)
    assert rollouts(world)[2] == "live"


def test_a_partition_without_records_holds_up_no_rollout(world: World) -> None:
    """A11: epochs go live and are followed by others, although one partition never has a first offset of any."""
    for version in ("1.1.0", "1.2.0"):
        world.bus.producer().send(Send("events", [b"card0"], pipeline.events(0, 1, world.cluster.now_ms)))
        world.offer(f"sound-{version[2]}")
        turn(world, *world.processes, times=12)
        assert world.serving() == version
    cuts = [message for message in world.messages("cutovers") if isinstance(message, Cutover)]
    assert len({cut.partition for cut in cuts}) == 1


def test_a_prediction_says_which_event_it_answers(world: World) -> None:
    """C1: topic, partition and offset in each prediction lead to the event with its id, and each event has one."""
    world.feed(40)
    turn(world, *world.processes, times=40)
    assert world.drained()
    schema = pipeline.EVENT_SCHEMA
    reader = FramedReader({event_schema_id(schema): schema}, schema, max_bytes=1 << 16)
    asked: list[tuple[int, int, str]] = []
    for batch in everything(world.bus, "events"):
        ids = texts(reader.read(batch.values).columns["event_id"])
        asked += zip(batch.partitions.tolist(), batch.offsets.tolist(), ids, strict=True)
    answered: list[tuple[int, int, str]] = []
    for batch in everything(world.bus, "predictions"):
        columns = FramedReader.of("Prediction", max_bytes=1 << 16).read(batch.values).columns
        topics = columns["source_topic"]
        assert isinstance(topics, Strings)
        assert {to_text(topic) for topic in topics.tobytes()} == {world.bus.topic_id("events")}
        places = (np.asarray(columns[f"source_{name}"]).tolist() for name in ("partition", "offset"))
        answered += zip(*places, texts(columns["event_id"]), strict=True)
    assert sorted(answered) == sorted(asked)
    assert len(answered) == 40


def texts(column: object) -> list[str]:
    """The texts of a column of strings."""
    assert isinstance(column, Strings)
    return column.tolist()


def test_models_and_rollouts_alone_are_the_truth(world: World) -> None:
    """F1: the audit is gone with its retention, and a registry that starts anew decides nothing again."""
    world.offer("sound-1")
    world.command("promote", "1.0.0")
    turn(world, *world.processes, times=12)
    before = {role: list(world.values(role)) for role in ("models", "rollouts")}
    decisions = NAMES.topic("decisions")
    world.cluster.truncate(decisions, 0, world.bus.spans("decisions")[0].end)
    commands = world.bus.spans("commands")[0]
    world.cluster.truncate(NAMES.topic("commands"), 0, commands.end)  # it is kept for a shorter time than decisions
    registry = process(world, "registry-a")
    registry.kill()
    turn(world, registry, times=5)
    assert {role: list(world.values(role)) for role in before} == before
    assert list(world.values("decisions")) == []


def test_a_partition_is_placed_when_the_transaction_that_moves_its_offset_has_ended() -> None:
    """A12: the old owner's offsets are sent and not yet committed while another one is given its partitions."""
    stand = Stand()
    old, new = stand.loop(Answerer(), "0", fixed=False), stand.loop(Answerer(), "1", fixed=False)
    stand.turn(old, times=4)
    stand.feed(6, 0)
    waited: list[str | None] = []

    def hand_over(step: Step, _transactional_id: str) -> None:
        if step == "offsets_sent":
            stand.cluster.failpoint = None
            stand.cluster.expire(stand.cluster.group(LOOP_NAMES.group("inference")).members[0])
            stand.turn(new, times=6)
            waited.append(new.unready())

    stand.cluster.failpoint = hand_over
    stand.turn(old, times=1)
    assert waited == ["2 partitions wait for their committed offsets"]
    stand.feed(2, 0)
    stand.turn(new, times=12)
    assert stand.answers() == stand.inputs()


def test_rows_are_scored_before_the_transaction_begins() -> None:
    """B10: scoring takes longer than a transaction may last, and the batch is committed at the first attempt."""
    stand = Stand()

    class Slow(Answerer):
        def on_batch(self, batch: Batch) -> Iterable[Effect]:
            """Takes 20 s; a transaction is aborted after 15."""
            stand.clock.advance(20_000)
            stand.cluster.advance(20_000)
            return super().on_batch(batch)

    begun: list[str] = []
    stand.cluster.failpoint = lambda step, _: begun.append(step) if step == "begun" else None
    loop = stand.loop(Slow())
    stand.turn(loop, times=4)
    begun.clear()
    stand.feed(6, 0)
    stand.turn(loop, times=1)
    assert stand.answers() == stand.inputs()
    assert begun == ["begun"]
