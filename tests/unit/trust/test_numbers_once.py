"""No number of an epoch is given twice, whatever a stranger leaves of the record that names it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from freshet.contracts.logic import Fact
from freshet.contracts.messages import Message, Rollout
from freshet.registry.core.decider import RegistryDecider
from freshet.trust.statements import release_statement
from support.registry import PIPELINE, World, candidate, ready, specification, worker
from support.registry_laws import Lawless
from support.signed import KeyRing, demanding, signed

Overwritten = Callable[[Rollout, Rollout, KeyRing], Message]
"""What stands under the key of the second epoch, made of both epochs."""


def two_epochs(ring: KeyRing) -> World:
    """A pipeline that demands signatures, in its second epoch."""
    world = World()
    world.decider = RegistryDecider(ring.keys, ring.release)
    world.tell("pipelines", f"{PIPELINE}/1", demanding(specification()))
    for minor, name in enumerate(("a", "b")):
        world.publish(signed(candidate(name), ring.builder))
        world.settle()
        world.command("promote", f"1.{minor}.0")
        world.settle()
    assert [*world.rollouts()] == [1, 2]
    return world


def compacted(world: World) -> list[Fact]:
    """The log as Kafka leaves it after a while: of each key the last record; decisions and commands have expired."""
    kept = {(fact.role, fact.key): fact for fact in world.log if fact.role not in ("decisions", "commands")}
    return sorted(kept.values(), key=lambda fact: fact.offset)


def restarted(world: World, ring: KeyRing, *facts: Fact) -> RegistryDecider:
    """A registry that has begun anew on these facts; the world's log stays what really happened."""
    world.laws = Lawless()
    world.decider = RegistryDecider(ring.keys, ring.release)
    for fact in facts:
        world.decider.fold(fact)
    return world.decider


def given_next(world: World) -> int:
    """The number under which the registry lets the first version answer; 0 if it was given before."""
    before = {*world.rollouts()}
    asked = world.command("promote", "1.0.0")
    world.settle()
    assert world.verdict(asked) == "done"
    (number,) = {*world.rollouts()} - before or {0}
    return number


def _unsigned(first: Rollout, second: Rollout, ring: KeyRing) -> Rollout:
    return second.model_copy(update={"signatures": {}})


def _of_a_stranger(first: Rollout, second: Rollout, ring: KeyRing) -> Rollout:
    record = second.model_copy(update={"cause": "stranger"})
    return record.model_copy(update={"signatures": ring.stranger.sign(release_statement(record))})


def _another_epoch(first: Rollout, second: Rollout, ring: KeyRing) -> Rollout:
    """It is signed, and believed; only the key tells what it has written over."""
    return first


def _another_pipeline(first: Rollout, second: Rollout, ring: KeyRing) -> Rollout:
    return second.model_copy(update={"pipeline": "loans"})


def _nonsense(first: Rollout, second: Rollout, ring: KeyRing) -> Rollout:
    """Of a pipeline that cannot be one."""
    return second.model_copy(update={"pipeline": "x" * 1000})


@pytest.mark.parametrize("overwritten", [_unsigned, _of_a_stranger, _another_epoch, _another_pipeline, _nonsense])
def test_a_number_whose_record_was_written_over_is_not_given_again(overwritten: Overwritten) -> None:
    """The record of the epoch in force is lost to a registry that starts after Kafka compacted the topic.

    To give its number again would let two versions answer under one epoch, with no cut-over between them.
    """
    ring = KeyRing()
    world = two_epochs(ring)
    first, second = world.rollouts()[1], world.rollouts()[2]
    facts = [
        replace(fact, message=overwritten(first, second, ring)) if fact.key == f"{PIPELINE}/2" else fact
        for fact in compacted(world)
    ]
    restarted(world, ring, *facts)
    assert given_next(world) == 3


def test_a_number_whose_record_cannot_be_read_is_not_given_again() -> None:
    """Rubbish under its key: the shell tells of the key, and of nothing else."""
    ring = KeyRing()
    world = two_epochs(ring)
    key = f"{PIPELINE}/2"
    registry = restarted(world, ring, *[fact for fact in compacted(world) if fact.key != key])
    keys = (key, "no key", "fraud/", "/3", "fraud/-3", "fraud/\u00b2", f"fraud/{'9' * 5000}")
    for role, told in (("models", f"{PIPELINE}/3"), *(("rollouts", told) for told in keys)):
        registry.on_unreadable(role, told)
    assert given_next(world) == 3


def reread(world: World, *facts: Fact) -> None:
    """The shell of a running registry reads its own topics on, and comes to these records."""
    for fact in facts:
        world.decider.on_reread(fact)


@pytest.mark.parametrize("overwritten", [_unsigned, _of_a_stranger, _another_epoch, _another_pipeline, _nonsense])
def test_a_running_registry_passes_over_a_number_that_a_stranger_writes(overwritten: Overwritten) -> None:
    """Else its own epoch of that number would stand beside the stranger's, and readers would see two contents."""
    ring = KeyRing()
    world = two_epochs(ring)
    first, second = world.rollouts()[1], world.rollouts()[2]
    reread(world, *world.log, Fact("rollouts", f"{PIPELINE}/3", overwritten(first, second, ring), world.now_ms, 99))
    assert given_next(world) == 4


def test_a_running_registry_passes_over_the_number_of_a_version_that_a_stranger_writes() -> None:
    """Two artifacts of one version would be a contradiction for ever, too."""
    ring = KeyRing()
    world = two_epochs(ring)
    strange = world.models()["1.1.0"].model_copy(update={"version": "1.2.0", "signatures": {}})
    reread(world, *world.log, Fact("models", f"{PIPELINE}/1.2.0", strange, world.now_ms, 99))
    world.publish(signed(candidate("c"), ring.builder))
    world.settle()
    assert "2.0.0" in world.models()


def test_what_a_running_registry_reads_again_of_an_earlier_life_takes_no_number() -> None:
    """It reads its own records after it has folded them; those of before a deletion come when they are forgotten."""
    ring = KeyRing()
    world = two_epochs(ring)
    world.tell("pipelines", f"{PIPELINE}/1", None)
    world.settle()
    reread(world, *world.log)
    world.tell("pipelines", f"{PIPELINE}/2", demanding(specification(number=2), life="a2"))
    world.publish(signed(candidate("a"), ring.builder))
    world.settle()
    world.command("promote", "1.0.0")
    told = world.settle()
    assert {effect.key for effect in told if effect.role in ("models", "rollouts")} == {
        f"{PIPELINE}/1",
        f"{PIPELINE}/1.0.0",
    }


@pytest.mark.parametrize("shows", ["live", "partition", "prepared"])
def test_a_number_that_a_worker_shows_is_not_given_again(shows: str) -> None:
    """Also where the record is gone with its key: a tombstone, and Kafka compacted the topic."""
    ring = KeyRing()
    world = two_epochs(ring)
    facts = [fact for fact in compacted(world) if fact.key != f"{PIPELINE}/2"]
    restarted(world, ring, *facts)
    known = worker(leaving=True)
    partition = known.partitions[0].model_copy(update={"epoch": 2})
    told: dict[str, dict[str, object]] = {
        "live": {"live_epoch": 2},
        "partition": {"partitions": (partition,)},
        "prepared": {"prepared": ready(2)},
    }
    state = known.model_copy(update=told[shows])
    world.beat(state)
    world.beat(state.model_copy(update={"instance": "absurd", "live_epoch": 2**62}))
    assert given_next(world) == 3


def test_where_nothing_is_demanded_workers_do_not_count() -> None:
    """A worker that outlived a deletion may still show epochs of the last life; the next begins at 1."""
    world = World()
    world.apply()
    world.publish(candidate("a"))
    world.settle()
    world.beat(worker(live_epoch=7, leaving=True, partitions=()))
    assert given_next(world) == 1
