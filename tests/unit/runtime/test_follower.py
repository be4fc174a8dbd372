"""A core that follows logs alone: what it says and what it knows are those of one that nothing ever happened to."""

from itertools import accumulate

import pytest

from freshet.avro.control import encode
from freshet.contracts.messages import PipelineRecord
from freshet.contracts.stateful import Checkpoint
from freshet.runtime.bus.memory import STEPS, SimulatedCrash, Step
from freshet.runtime.data_loop import DataLoop
from support.follower import KEPT, Following, Tally

NUMBERS = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5]
TOTALS = [str(total) for total in accumulate(NUMBERS)]


def tally(loop: DataLoop) -> Tally:
    """The core that runs in it."""
    assert isinstance(loop.logic, Tally)
    return loop.logic


def test_each_row_is_said_once_in_order_with_its_offset_and_state() -> None:
    """The plain case: two logs, totals by log."""
    world = Following()
    loop = world.worker()
    world.feed(*NUMBERS)
    world.feed(10, 20, log="labels")
    world.turn(loop)
    assert (world.said(), world.said("labels")) == (TOTALS, ["10", "30"])
    assert tally(loop).state == {"features": sum(NUMBERS), "labels": 30}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("at_commit", [1, 2, 4, 5])
def test_a_crash_at_any_step_of_any_commit_loses_nothing_and_repeats_nothing(step: Step, at_commit: int) -> None:
    """State, output and offset are one transaction: the successor knows exactly what was said."""
    world = Following()
    world.feed(*NUMBERS)
    seen = 0

    def crash(reached: Step, transactional_id: str) -> None:
        nonlocal seen
        seen += reached == step
        if reached == step and seen == at_commit:
            raise SimulatedCrash

    world.cluster.failpoint = crash
    with pytest.raises(SimulatedCrash):
        world.turn(world.worker())
    world.cluster.failpoint = None
    successor = world.worker()
    world.turn(successor, times=30)
    assert world.said() == TOTALS
    assert tally(successor).state == {"features": sum(NUMBERS), "labels": 0}


def test_one_is_active_and_the_other_goes_on_where_it_ends() -> None:
    """A second process of the service has nothing to read, until the first one leaves."""
    world = Following()
    workers = {slot: world.worker(slot) for slot in ("0", "1")}
    world.turn(*workers.values())
    world.feed(*NUMBERS[:7])
    world.turn(*workers.values())
    active, other = sorted(workers, key=lambda slot: tally(workers[slot]).state is None)
    standby = workers[other]
    assert tally(standby).state is None
    assert world.said() == TOTALS[:7]
    workers[active].close()
    world.end_session(active)
    world.feed(*NUMBERS[7:])
    world.turn(standby, times=30)
    assert world.said() == TOTALS
    assert tally(standby).state == {"features": sum(NUMBERS), "labels": 0}


def test_a_step_that_was_refused_never_was() -> None:
    """The state before it is the one that goes on; nothing is restored for it."""
    world = Following()
    loop = world.worker()
    world.feed(*NUMBERS[:4])
    world.turn(loop)
    world.cluster.disconnect()
    world.feed(*NUMBERS[4:])
    world.turn(loop, times=20)
    assert world.said() == TOTALS


def test_settings_come_from_control_topics_and_count_from_the_row_on_that_met_them() -> None:
    """Also for a successor: which rows were taken in under which plan is known from the offsets."""
    world = Following()
    first = world.worker()
    world.feed(1, 1)
    world.turn(first)
    record = PipelineRecord(pipeline="p", number=10, spec="", event_schema="", event_schema_id=1)
    world.send("pipelines", [b"p/10"], [encode(record)])
    world.turn(first, times=3)
    world.feed(1, 1)
    world.turn(first)
    world.cluster.failpoint = _crash
    world.feed(1)
    with pytest.raises(SimulatedCrash):
        world.turn(first)
    world.cluster.failpoint = None
    second = world.worker()
    world.turn(second, times=20)
    assert world.said() == ["1", "2", "12", "22", "32"]


def test_a_log_that_was_given_partitions_is_not_followed_out_of_order() -> None:
    """There is no order between two partitions: the second one waits, and /ready says why."""
    world = Following(partitions=2)
    loop = world.worker()
    world.feed(*NUMBERS)
    world.feed(100, partition=1)
    world.turn(loop)
    assert world.said() == TOTALS
    assert "there is no order between them" in (loop.unready() or "")


def _crash(step: Step, transactional_id: str) -> None:
    raise SimulatedCrash


@pytest.mark.parametrize(("input_bytes", "checkpoints"), [(1_000, 1), (4, 3)])
def test_a_checkpoint_is_due_by_bytes_of_input_too(
    monkeypatch: pytest.MonkeyPatch, input_bytes: int, checkpoints: int
) -> None:
    """A few large rows are as much to read again as many small ones: eleven of a byte each, one at a time."""
    monkeypatch.setattr(Tally, "kept", Checkpoint(KEPT, rows=1_000, input_bytes=input_bytes))
    world = Following()
    loop = world.worker()
    for number in NUMBERS:
        world.feed(number)
        world.turn(loop)
    assert world.said() == TOTALS
    assert world.kept() == checkpoints


def test_a_checkpoint_is_due_by_time_too() -> None:
    """Rows of a slow stream expire before there are many of them: a restart would find neither them nor their state."""
    world = Following()
    loop = world.worker()
    for number in NUMBERS[:5]:
        world.feed(number)
        world.turn(loop)
        world.pass_time(40 * 60_000)
    assert world.kept() == 3
    loop.close()
    world.cluster.truncate(world.names.topic("features"), 0, 4)
    world.turn(world.worker())
    assert world.said() == TOTALS[:5]


def test_what_a_restart_reads_again_counts_towards_the_next_checkpoint() -> None:
    """Workers that are restarted again and again do not read ever more."""
    world = Following()
    for number in NUMBERS:
        world.feed(number)
        loop = world.worker()
        world.turn(loop)
        loop.close()
    assert world.said() == TOTALS
    assert world.kept() == 3
