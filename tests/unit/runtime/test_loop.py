"""The loop on the memory bus: whatever goes wrong, every input is answered exactly once."""

from collections.abc import Iterable
from itertools import pairwise

import pytest

from freshet.avro.own_schemas import schema_lock
from freshet.contracts.logic import Effect
from freshet.runtime.bus.memory import STEPS, SimulatedCrash, Step
from freshet.runtime.bus.memory.memory_consumer import MemoryGroupConsumer
from freshet.runtime.bus.protocol import Collected, ExpiredError, FatalError, Place, RetriableError, Send, Transaction
from freshet.runtime.bus.protocol import Committed as At
from freshet.runtime.telemetry import Metrics
from support.loops import NAMES, Answerer, Stand


def test_first_start_is_committed_before_the_first_record_is_read() -> None:
    """A crash right after joining must not move the start: offset and origin are committed with nothing answered."""
    stand = Stand()
    logic = Answerer()
    stand.turn(stand.loop(logic))
    assert stand.committed(0) == (0, "e=0 f=0")
    assert logic.assigned == [(0, "e=0 f=0"), (1, "e=0 f=0")]


def test_every_input_is_answered_once_and_offsets_carry_the_mark() -> None:
    """The plain case: answers, committed offsets and metadata agree."""
    stand = Stand()
    stand.feed(20, 0)
    stand.feed(5, 1)
    stand.turn(stand.loop(Answerer()))
    assert stand.answers() == stand.inputs()
    assert stand.committed(0) == (20, "e=1 f=0")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("at_commit", [1, 2, 3])
def test_a_crash_at_any_step_of_any_commit_loses_nothing_and_repeats_nothing(step: Step, at_commit: int) -> None:
    """[e…, CRASH at step, e…] and a restart in the same slot: the same answers as without the crash."""
    stand = Stand()
    stand.feed(20, 0)
    seen = 0

    def crash(reached: Step, transactional_id: str) -> None:
        nonlocal seen
        seen += reached == step
        if reached == step and seen == at_commit:
            raise SimulatedCrash

    stand.cluster.failpoint = crash
    with pytest.raises(SimulatedCrash):
        stand.turn(stand.loop(Answerer()))
    stand.cluster.failpoint = None
    stand.feed(3, 1)
    stand.turn(stand.loop(Answerer()), times=30)
    assert stand.answers() == stand.inputs()


def test_an_interrupted_batch_is_dropped_whole() -> None:
    """A rebalance while the batch is collected: rows that moved and rows that stayed are answered once."""
    stand = Stand()
    first, logic = stand.loop(Answerer(), "0", fixed=False), Answerer()
    stand.turn(first, times=4)
    stand.feed(20, 0)
    stand.feed(20, 1)
    second = stand.loop(logic, "1", fixed=False)
    (member,) = stand.cluster.group(NAMES.group("inference")).members
    stand.cluster.rebalance_during_next_collect(member, lambda: stand.turn(second, times=3))
    for _ in range(20):
        stand.turn(first, times=1)
        stand.turn(second, times=1)
    assert stand.answers() == stand.inputs()
    assert logic.assigned, "the second member never got a partition: the test was too weak"


def test_a_predecessor_that_wakes_up_is_refused() -> None:
    """A zombie with the same slot is fenced, and says so instead of going on."""
    stand = Stand()
    zombie = stand.loop(Answerer())
    stand.turn(zombie, times=4)
    stand.feed(10, 0)
    stand.turn(stand.loop(Answerer()))
    with pytest.raises(FatalError):
        stand.turn(zombie)
    assert stand.answers() == stand.inputs()


def test_a_suspect_zombie_leaves_its_successor_alone() -> None:
    """It wakes up in the middle of a commit and has lost its connection: it polls before it takes the id, and ends."""
    stand = Stand()
    zombie, successor = stand.loop(Answerer()), stand.loop(Answerer())
    stand.turn(zombie, times=4)
    stand.feed(10, 0)

    def hang(_client: str, operation: str) -> None:
        if operation == "commit":
            stand.cluster.before = None
            stand.cluster.disconnect()  # noticed by the zombie's client alone: the successor's is not open yet
            stand.turn(successor)

    stand.cluster.before = hang
    with pytest.raises(FatalError):
        stand.turn(zombie)
    stand.feed(10, 0)
    stand.turn(successor)
    assert stand.answers() == stand.inputs()


def test_a_lost_connection_costs_a_loop_one_batch() -> None:
    """The batch at hand is read again, by a client of a new epoch; nothing is lost or repeated."""
    stand = Stand()
    loop = stand.loop(Answerer())
    stand.turn(loop, times=4)
    for _ in range(3):
        stand.feed(10, 0)
        stand.cluster.disconnect()
        stand.turn(loop)
    assert stand.answers() == stand.inputs()


def test_a_loop_waits_for_what_a_newer_release_has_put_in_force() -> None:
    """It answers nothing more of its pipeline, keeps its place in the group, and says why; other pipelines do not."""
    stand = Stand()
    loop = stand.loop(Answerer())
    stand.turn(loop, times=4)
    stand.feed(5, 0)
    stand.turn(loop)
    write_newer(stand, "another")
    stand.feed(5, 0)
    stand.turn(loop)
    assert stand.answers() == stand.inputs()
    assert loop.unready() is None

    write_newer(stand, NAMES.pipeline)
    stand.turn(loop, times=1)
    stand.feed(5, 0)
    stand.turn(loop)
    assert "Upgrade" in (loop.unready() or "")
    assert len(stand.answers()) == 10
    assert len(stand.cluster.group(NAMES.group("inference")).members) == 1
    late = stand.loop(Answerer(), "1")
    stand.turn(late)
    assert "Upgrade" in (late.unready() or "")
    assert len(stand.cluster.group(NAMES.group("inference")).members) == 1, "it left the partitions to others"


def write_newer(stand: Stand, pipeline: str) -> None:
    """A rollout under the next schema id that a later release will give out."""
    frame = b"\x00" + (schema_lock()[-1].id + 1).to_bytes(4, "big")
    stand.bus.producer().send(Send("rollouts", [f"{pipeline}/7".encode()], [frame + b"whatever"]))


def test_lost_offsets_are_recovered_from_our_own_answers() -> None:
    """Offsets forgotten by the broker: position and metadata come from the tail of the predictions."""
    stand = Stand()
    stand.feed(10, 0)
    loop = stand.loop(Answerer())
    stand.turn(loop)
    loop.close()
    stand.cluster.group(NAMES.group("inference")).forget(NAMES.topic("features"))
    stand.feed(4, 0)
    logic = Answerer()
    stand.turn(stand.loop(logic))
    assert (0, "e=1 f=0") in logic.assigned
    assert stand.answers() == stand.inputs()


def test_offsets_reset_below_our_answers_stop_the_service() -> None:
    """An operator's reset would answer a range twice: the loop refuses and says which offset to set."""
    stand = Stand()
    stand.feed(10, 0)
    loop = stand.loop(Answerer())
    stand.turn(loop)
    loop.close()
    producer = stand.bus.transactional_producer("inference", "reset")
    producer.open()
    consumer = stand.bus.consumer("inference", ["features"], None, "range")
    consumer.collect(1, 1, 0.0)
    producer.commit(Transaction(offsets={Place("features", 0): At(3)}, membership=consumer.membership()))
    consumer.close()
    with pytest.raises(FatalError, match="reset to 3, but is answered up to 10"):
        stand.turn(stand.loop(Answerer()))


def test_a_held_partition_waits_and_nothing_of_it_is_lost() -> None:
    """One partition waits, the other flows; once the logic lets it, it is read again from its committed offset."""
    stand = Stand()
    logic = Answerer()
    loop = stand.loop(logic)
    stand.turn(loop, times=4)
    logic.hold = {1}
    stand.feed(5, 0)
    stand.feed(5, 1)
    stand.turn(loop)
    assert stand.answers() == [(0, offset) for offset in range(5)]
    logic.hold = set()
    stand.turn(loop)
    assert stand.answers() == stand.inputs()


def test_expired_records_stop_the_service_or_leave_a_dead_letter() -> None:
    """Retention overtook the group: stop by default; with skip, jump and say what was skipped."""
    for skip in (False, True):
        stand = Stand()
        loop = stand.loop(Answerer(), skip_expired=skip)
        stand.turn(loop, times=4)
        loop.close()
        stand.feed(20, 0)
        stand.cluster.truncate(NAMES.topic("features"), 0, 12)
        again = stand.loop(Answerer(), skip_expired=skip)
        if not skip:
            with pytest.raises(FatalError, match="retention"):
                stand.turn(again)
            continue
        stand.turn(again)
        assert stand.answers() == [(0, offset) for offset in range(12, 20)]
        assert [letter["freshet.reason"] for letter in stand.dead()] == ["input_expired"]


@pytest.mark.parametrize("skip", [False, True])
def test_expired_records_are_told_where_the_offsets_are_lost_as_well(*, skip: bool) -> None:
    """The answers tell where it stopped reading: what is gone since then is not skipped in silence."""
    stand = Stand()
    stand.feed(5)
    loop = stand.loop(Answerer())
    stand.turn(loop)
    loop.close()
    stand.feed(15)
    stand.cluster.truncate(NAMES.topic("features"), 0, 12)
    stand.cluster._groups.clear()
    again = stand.loop(Answerer(), skip_expired=skip)
    if not skip:
        with pytest.raises(FatalError, match=r"offset 5 is no longer.* holds 12 to 20"):
            stand.turn(again, times=40)
        return
    stand.turn(again, times=40)
    assert stand.answers() == [(0, offset) for offset in (*range(5), *range(12, 20))]
    assert [(told["freshet.reason"], told["freshet.detail"]) for told in stand.dead()] == [
        ("input_expired", "offsets 5 to 12 expired unread")
    ]
    again.close()
    stand.cluster._groups.clear()
    stand.turn(stand.loop(Answerer(), skip_expired=skip), times=40)
    assert len(stand.dead()) == 1, "its letter is an answer, and is not written again"


@pytest.mark.parametrize("skip", [False, True])
def test_an_offset_that_the_topic_still_holds_has_not_expired(monkeypatch: pytest.MonkeyPatch, skip: bool) -> None:
    """The broker may refuse an offset for a moment, as after a change of leaders: it is read again, nobody stops."""
    stand = Stand()
    stand.feed(5, 0)
    loop = stand.loop(Answerer(), skip_expired=skip)
    stand.turn(loop)
    stand.feed(5, 0)
    collect, positions = MemoryGroupConsumer.collect, [3, 5, 5]

    def refusing(self: MemoryGroupConsumer, limit: int, limit_bytes: int, timeout_s: float) -> Collected | None:
        if positions:
            raise ExpiredError(Place("features", 0), positions.pop())
        return collect(self, limit, limit_bytes, timeout_s)

    monkeypatch.setattr(MemoryGroupConsumer, "collect", refusing)
    stand.turn(loop)
    assert not positions, "too weak"
    assert stand.answers() == stand.inputs()
    assert len(stand.answers()) == 10
    assert stand.dead() == []


def test_expired_records_are_found_again_where_the_broker_could_not_be_asked() -> None:
    """The question what is left may fail for the moment: the partition waits, and does not stand still for ever."""
    stand = Stand()
    loop = stand.loop(Answerer(), skip_expired=True)
    stand.turn(loop, times=4)
    loop.close()
    stand.feed(20, 0)
    stand.cluster.truncate(NAMES.topic("features"), 0, 12)
    asked: list[str] = []

    def away(_client: str, operation: str) -> None:
        if operation == "span" and len(asked) < 2:
            asked.append(operation)
            raise RetriableError("the broker is away.")

    again = stand.loop(Answerer(), skip_expired=True)
    stand.cluster.before = away
    stand.turn(again, times=40)
    assert asked, "the question was asked, and failed"
    assert stand.answers() == [(0, offset) for offset in range(12, 20)]


def test_an_expiry_told_before_a_partition_is_placed_forgets_no_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its start is not known yet, so nothing is committed for it: the epoch that was committed stays."""
    stand = Stand(partitions=1)
    stand.feed(5, 0)
    loop = stand.loop(Answerer(), skip_expired=True)
    stand.turn(loop)
    assert stand.committed(0) == (5, "e=1 f=0")
    loop.close()
    stand.feed(15, 0)
    stand.cluster.truncate(NAMES.topic("features"), 0, 12)
    collect, reports = MemoryGroupConsumer.collect, [5]

    def early(self: MemoryGroupConsumer, limit: int, limit_bytes: int, timeout_s: float) -> Collected | None:
        collected = collect(self, limit, limit_bytes, timeout_s)
        if reports and self.owned():
            stand.cluster.before = None
            raise ExpiredError(Place("features", 0), reports.pop())
        return collected

    def away(_client: str, operation: str) -> None:
        if operation == "committed":
            raise RetriableError("the coordinator is away.")

    monkeypatch.setattr(MemoryGroupConsumer, "collect", early)
    logic = Answerer()
    stand.cluster.before = away
    stand.turn(stand.loop(logic, skip_expired=True), times=40)
    assert not reports, "too weak"
    assert [told["freshet.reason"] for told in stand.dead()] == ["input_expired"]
    assert {metadata for _, metadata in logic.assigned} == {"e=1 f=0"}


def test_leaving_is_told_and_frees_the_partitions() -> None:
    """close() says goodbye; the next worker goes on at the committed offset."""
    stand = Stand()
    logic = Answerer()
    loop = stand.loop(logic, fixed=False)
    stand.feed(5, 0)
    stand.turn(loop)
    loop.close()
    stand.feed(5, 0)
    stand.turn(stand.loop(Answerer(), "1", fixed=False))
    assert [state.leaving for state in stand.workers() if state.instance == NAMES.worker("inference", "0")][-1]
    assert stand.answers() == stand.inputs()


def test_a_wall_clock_that_steps_back_stops_nothing() -> None:
    """NTP takes an hour away: partitions are released, facts folded and batches answered as before."""
    stand, logic = Stand(), Answerer()
    logic.hold = {0}
    stand.feed(4, 0)
    loop = stand.loop(logic)
    stand.turn(loop)
    stand.clock.set_wall(stand.clock.now_ms() - 3_600_000)
    logic.hold = set()
    stand.turn(loop, times=6)
    assert stand.answers() == stand.inputs()


class Timed(Answerer):
    """Remembers the times that it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.ticks_ms: list[int] = []

    def on_tick(self, now_ms: int) -> Iterable[Effect]:
        """Note it."""
        self.ticks_ms.append(now_ms)
        return ()


def test_ticks_tell_how_much_time_passed_whatever_the_wall_clock_says() -> None:
    """A model that is waited for 30 s is waited for 30 s, not an hour and not a moment."""
    stand, logic = Stand(), Timed()
    loop = stand.loop(logic)
    stand.turn(loop, times=5)
    for hours in (-1, 2):
        stand.clock.set_wall(stand.clock.now_ms() + hours * 3_600_000)
        stand.turn(loop, times=5)
    assert {later - earlier for earlier, later in pairwise(logic.ticks_ms)} == {60}


def test_metrics_of_a_closed_loop_say_that_nothing_is_served() -> None:
    """Its process may go on with other pipelines, and would go on saying `ready`."""
    stand, metrics = Stand(), Metrics()
    loop = stand.loop(Answerer(), metrics=metrics)
    stand.turn(loop)
    labels = {"service": "inference", "pipeline": NAMES.pipeline}

    def told(name: str) -> float | None:
        return metrics.registry.get_sample_value(name, labels)

    assert (told("freshet_ready"), told("freshet_owned_partitions")) == (1, 2)
    loop.close()
    assert (told("freshet_ready"), told("freshet_owned_partitions")) == (0, 0)
