"""Partitions that fell back come home once their champion is well."""

from freshet.contracts.messages import PartitionState, WorkerState
from support.registry import World, served, worker

MINUTE_MS = 60_000
BOTH = ("1.0.0", "1.1.0")


def fallen(instance: str, epoch: int, **but: object) -> WorkerState:
    """A worker that answers partition 3 with its understudy, though it holds both."""
    at = PartitionState(partition=3, epoch=epoch, fallback=1)
    return worker(instance, **{"partitions": (at,), "resident": BOTH, **but})


def two_workers() -> World:
    """1.1.0 serves as epoch 2 with 1.0.0 as its understudy, for more than a minute."""
    world = served("a", "b")
    world.now_ms += MINUTE_MS
    world.beat(worker("w1", resident=BOTH))
    return world


def test_fallen_partitions_come_home_by_a_new_epoch() -> None:
    """The same table under a new number, with a decision that says why; the number alone moves the partitions."""
    world = two_workers()
    before = world.live()
    world.beat(fallen("w2", 2))
    world.settle()
    live = world.live()
    assert live is not None
    assert before is not None
    assert (live.epoch, live.cause, world.rollouts()[3].phase) == (3, "recovered", "live")
    assert (live.table, live.understudies, live.resident) == (before.table, before.understudies, before.resident)
    (decision,) = world.decisions("3")
    assert decision.inputs["partitions"] == "w2/3"
    world.beat(fallen("w2", 3, partitions=(PartitionState(partition=3, epoch=3, fallback=0),)))
    world.now_ms += 100 * MINUTE_MS
    assert world.settle() == []


def test_nothing_comes_home_while_a_worker_lacks_the_model() -> None:
    """Where it is not loaded, or has failed, a new epoch would only fall again."""
    for trouble in (fallen("w2", 2, resident=("1.0.0",)), fallen("w2", 1)):
        world = two_workers()
        world.beat(trouble)
        assert world.settle() == []


def test_model_that_falls_again_and_again_is_left_to_people() -> None:
    """Each time the wait doubles, up to an hour: no flood of epochs."""
    world = two_workers()
    for _ in range(24 * 60):
        live = world.live()
        assert live is not None
        world.beat(worker("w1", resident=BOTH))
        world.beat(fallen("w2", live.epoch))
        world.settle()
        world.now_ms += MINUTE_MS
    live = world.live()
    assert live is not None
    assert 6 <= live.epoch <= 32


def test_it_waits_for_an_open_prepare_and_keeps_a_pause() -> None:
    """A prepare that ends brings a new epoch anyway; what was paused stays so."""
    world = two_workers()
    world.command("pause")
    world.settle()
    world.now_ms += MINUTE_MS
    world.beat(worker("w1", resident=BOTH))
    world.beat(fallen("w2", 3))
    world.settle()
    live = world.live()
    assert live is not None
    assert (live.cause, live.paused) == ("recovered", True)
