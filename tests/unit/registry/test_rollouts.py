"""Epochs from prepare to live or aborted."""

from dataclasses import replace
from hashlib import sha256

import pytest

from freshet.avro.control import encode
from freshet.contracts.logic import Announce, Fact
from freshet.contracts.messages import Decision, Rollout, WorkerState
from support.registry import BEAT_MS, PREPARE_MS, World, candidate, decided, ready, refold, served, worker


def preparing(*workers: WorkerState) -> tuple[World, str]:
    """1.0.0 serves, these workers are alive, and a command has begun to prepare 1.1.0 as epoch 2."""
    world = served("a")
    world.publish(candidate("b"))
    world.settle()
    for state in workers:
        world.beat(state)
    command = world.command("promote", "1.1.0")
    world.settle()
    return world, command


def test_epoch_goes_live_when_every_live_worker_has_prepared_it() -> None:
    """Not before the last one; then the same key moves to live, with the command's decision and the aliases."""
    world, command = preparing(worker("w1"), worker("w2"))
    world.beat(worker("w1", prepared=ready(2)))
    assert world.settle() == []
    assert (world.rollouts()[2].phase, world.serving(), world.verdict(command)) == ("prepare", "1.0.0", "")
    world.beat(worker("w2", prepared=ready(1, 2)))
    batch = world.decide()
    assert [(announced.role, announced.key) for announced in batch] == [
        ("rollouts", "fraud/2"),
        ("decisions", "fraud"),
        ("models", "fraud/1.0.0"),
        ("models", "fraud/1.1.0"),
    ]
    assert (world.serving(), world.verdict(command)) == ("1.1.0", "done")
    assert world.models()["1.1.0"].aliases == ("champion",)
    assert world.models()["1.0.0"].aliases == ("previous",)


def test_epoch_record_names_what_it_follows_and_who_stands_in() -> None:
    """The previous epoch by number and digest, the previously serving version as understudy and resident."""
    world, _ = preparing(worker())
    opened, before = world.rollouts()[2], world.rollouts()[1]
    assert opened.expected_previous == 1
    assert opened.previous_digest == sha256(encode(before)).hexdigest()
    assert opened.understudies == {"1.1.0": "1.0.0"}
    assert opened.resident == ("1.0.0", "1.1.0")
    assert opened.salt == before.salt
    assert opened.deadline_ms == world.now_ms + PREPARE_MS


def test_one_worker_that_cannot_aborts_the_epoch() -> None:
    """The fleet never left the old version, the command is refused with the worker's reason, the number is spent."""
    world, command = preparing(worker("w1"), worker("w2"))
    world.beat(worker("w1", prepared=ready(2)))
    world.beat(worker("w2", prepared=ready(2, verdict="no_memory")))
    world.settle()
    assert (world.rollouts()[2].phase, world.serving()) == ("aborted", "1.0.0")
    (decision,) = world.decisions(command)
    assert decision.verdict == "refused"
    assert "w2 answered no_memory" in decision.reason
    world.command("promote", "1.1.0")
    world.settle()
    assert world.rollouts()[3].phase == "prepare"


def test_deadline_aborts_and_names_who_was_silent() -> None:
    """Exactly at the deadline it may still go live; after it, not even if all are ready by then."""
    world, command = preparing(worker("w1", interval_ms=PREPARE_MS))
    world.now_ms += PREPARE_MS
    assert world.settle() == []
    world.now_ms += 1
    world.settle()
    assert world.rollouts()[2].phase == "aborted"
    assert "w1" in world.decisions(command)[0].reason


@pytest.mark.parametrize(
    "absent",
    [
        worker("w2", leaving=True),
        worker("w2", partitions=()),
        worker("w2", lane="shadow:1.1.0"),
        worker("w2", pipeline="other"),
        worker("w2", service="ingestion"),
    ],
    ids=["leaving", "without-partitions", "other-lane", "other-pipeline", "other-service"],
)
def test_workers_that_serve_nothing_are_not_waited_for(absent: WorkerState) -> None:
    """Only workers that own partitions of the serving lane count."""
    world, _ = preparing(worker("w1"), absent)
    world.beat(worker("w1", prepared=ready(2)))
    world.settle()
    assert world.serving() == "1.1.0"


def test_dead_worker_is_not_waited_for() -> None:
    """It counts for three intervals of what others beat after it; then the rollout goes on without it."""
    world, _ = preparing(worker("w1", prepared=ready(2)), worker("w2"))
    world.now_ms += 3 * BEAT_MS
    world.beat(worker("w1", prepared=ready(2)))
    assert world.settle() == []
    world.now_ms += 1
    world.beat(worker("w1", prepared=ready(2)))
    world.settle()
    assert world.serving() == "1.1.0"


def test_joining_worker_is_waited_for() -> None:
    """The set of workers is looked at anew each time: one that joins during the prepare must load the model too."""
    world, _ = preparing(worker("w1"))
    world.beat(worker("w2"))
    world.beat(worker("w1", prepared=ready(2)))
    assert world.settle() == []
    world.beat(worker("w2", prepared=ready(2)))
    world.settle()
    assert world.serving() == "1.1.0"


def test_successor_finishes_an_open_prepare() -> None:
    """The acknowledgements are state, and the epoch's cause names the command: a restart loses neither."""
    world, command = preparing(worker("w1"))
    world.beat(worker("w1", prepared=ready(2)))
    world.crash()
    world.settle()
    assert (world.serving(), world.verdict(command)) == ("1.1.0", "done")


def test_prepare_that_another_epoch_has_overtaken_is_aborted() -> None:
    """Even if no record says so: a registry that finds such topics never lets it go live below the epoch in force."""
    world, command = preparing(worker("w1"))
    overtaking = world.rollouts()[1].model_copy(update={"epoch": 3})
    decider = refold([*world.log, Fact("rollouts", "fraud/3", overtaking, world.now_ms, len(world.log))])
    aborted, decision = (effect.message for effect in decided(decider, world.now_ms) if isinstance(effect, Announce))
    assert isinstance(aborted, Rollout)
    assert isinstance(decision, Decision)
    assert (aborted.epoch, aborted.phase) == (2, "aborted")
    assert (decision.subject, decision.verdict) == (command, "refused")


def test_second_record_under_a_finished_number_is_believed_by_all_registries_alike() -> None:
    """Compaction keeps the last record of an epoch: who saw both decides as a successor that sees only this one."""
    world = served("a", "b")
    world.command("pause", expected=2)
    forged = world.rollouts()[2].model_copy(update={"phase": "aborted"})
    fact = Fact("rollouts", "fraud/2", forged, world.now_ms, len(world.log))
    witness = refold([*world.log, fact])
    late = refold([*(one for one in world.log if one.key != fact.key), fact])
    assert decided(witness, world.now_ms) == decided(late, world.now_ms) != []
    assert "epoch 2" in witness._pipelines.state("fraud").ledger.alarm


def test_workers_that_died_of_it_have_not_agreed() -> None:
    """Nobody is left to object: it waits for its deadline, then names who was silent. The old version serves on."""
    world, command = preparing(worker("w1"), worker("w2"))
    world.now_ms += 4 * BEAT_MS
    assert world.settle() == []
    world.beat(worker("idle", partitions=()))  # by whose beat the others count as dead
    assert world.settle() == []
    world.now_ms += PREPARE_MS
    world.settle()
    (decision,) = world.decisions(command)
    assert (world.rollouts()[2].phase, world.serving(), decision.verdict) == ("aborted", "1.0.0", "refused")
    assert "w1, w2" in decision.reason


def test_broker_that_was_away_agrees_to_nothing() -> None:
    """Nobody could beat for ten seconds, and the registry's turn comes before the workers' next beats."""
    world, _ = preparing(worker("w1", prepared=ready(2)), worker("w2"))
    world.now_ms += 10_000
    assert world.settle() == []
    world.beat(worker("w1", prepared=ready(2)))
    world.beat(worker("w2", prepared=ready(2)))
    world.settle()
    assert world.serving() == "1.1.0"


@pytest.mark.parametrize("skew_ms", [-9_000, 9_000, 120_000])
def test_clocks_that_differ_let_nothing_go_live_unasked(skew_ms: int) -> None:
    """Beats are measured against beats: how the registry's clock stands to the broker's changes nothing."""
    world = served("a")
    world.publish(candidate("b"))
    world.settle()
    world.now_ms -= skew_ms
    world.beat(worker("w1"))
    world.now_ms += skew_ms
    world.command("promote", "1.1.0")
    world.settle()
    assert world.rollouts()[2].phase == "prepare"
    world.now_ms -= skew_ms
    world.beat(worker("w1", prepared=ready(2)))
    world.now_ms += skew_ms
    world.settle()
    assert world.serving() == "1.1.0"


def test_fleet_that_was_gone_before_is_not_asked() -> None:
    """Killed an hour ago, without a word: a prepare that opens now waits for nobody. Those who left need no time."""
    world = served("a")
    world.publish(candidate("b"))
    world.settle()
    world.beat(worker("w1"))
    world.beat(worker("w2", leaving=True))
    world.now_ms += 3_600_000
    world.command("promote", "1.1.0")
    world.settle()
    assert world.serving() == "1.1.0"


def test_other_services_are_not_asked() -> None:
    """Ingestion tells how it is on the same topic."""
    world, _ = preparing(worker("w1"), worker("w2", service="ingestion"))
    world.beat(worker("w1", prepared=ready(2)))
    world.settle()
    assert world.serving() == "1.1.0"


def test_policy_waits_while_an_epoch_is_prepared() -> None:
    """A second model that is admitted meanwhile opens no second prepare; its turn comes when the first has ended."""
    world = served("a", policy="immediate")
    world.beat(worker())
    for name in ("b", "c"):
        world.publish(candidate(name))
        world.settle()
    assert [epoch for epoch, rollout in world.rollouts().items() if rollout.phase == "prepare"] == [2]
    world.beat(worker(prepared=ready(2)))
    world.settle()
    assert (world.serving(), world.rollouts()[3].phase) == ("1.1.0", "prepare")
    world.beat(worker(prepared=ready(3)))
    world.settle()
    assert world.serving() == "1.2.0"


def test_a_prepare_of_an_earlier_release_still_answers_its_command() -> None:
    """That release wrote the command's id into the cause: its successor concludes the epoch, and asks nobody twice."""
    world, command = preparing(worker("w1"))
    for at, fact in enumerate(world.log):
        if isinstance(fact.message, Rollout) and fact.message.command_id:
            old = {"cause": f"promote {fact.message.command_id}", "command_id": ""}
            world.log[at] = replace(fact, message=fact.message.model_copy(update=old))
    world.decider = refold(world.log)
    assert world.decide() == []
    world.beat(worker("w1", prepared=ready(2)))
    world.settle()
    assert (world.serving(), world.verdict(command)) == ("1.1.0", "done")
