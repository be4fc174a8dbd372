"""Operators' commands: exactly one decision each."""

import pytest

from freshet.contracts.logic import Announce, Fact
from freshet.contracts.messages import Action, Command, WorkerState
from freshet.registry.core.decider import RegistryDecider
from support.registry import PIPELINE, World, candidate, decided, ready, served, specification, worker


@pytest.mark.parametrize(
    ("action", "version", "reason"),
    [
        ("promote", "9.9.9", "there is no version"),
        ("promote", "", "names no version"),
        ("rollback", "9.9.9", "there is no version"),
        ("retire", "1.1.0", "is serving"),
        ("retire", "1.0.0", "is the understudy"),
        ("annotate", "9.9.9", "there is no version"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(action: Action, version: str, reason: str) -> None:
    """One decision, and nothing else changes."""
    world = served("a", "b")
    asked = world.command(action, version)
    batch = world.settle()
    (decision,) = world.decisions(asked)
    assert decision.verdict == "refused"
    assert reason in decision.reason
    assert len(batch) == 1


def test_command_for_another_epoch_is_stale() -> None:
    """Who decided on an old view must look again; the right epoch passes."""
    world = served("a", "b")
    stale, current = world.command("rollback", expected=1), world.command("rollback", expected=2)
    world.settle()
    assert (world.verdict(stale), world.verdict(current)) == ("stale", "done")


def test_command_that_could_not_be_considered_in_time_expires() -> None:
    """What was asked for long ago is not carried out; an unknown pipeline's commands wait until then."""
    world = World()
    asked = world.command("pause", ttl_ms=1_000)
    world.now_ms += 1_000
    assert world.settle() == []
    world.now_ms += 1
    world.crash()
    world.settle()
    (decision,) = world.decisions(asked)
    assert decision.verdict == "expired"
    assert "No pipeline of this name" in decision.reason


def test_pipelines_do_not_wait_for_each_other() -> None:
    """One decision answers commands of several pipelines, each with its own epochs, in the order of their names."""
    decider = RegistryDecider()
    for offset, pipeline in enumerate(("wind", "fraud")):
        command = Command(command_id=pipeline, pipeline=pipeline, action="pause", expires_at_ms=9, by="ops")
        decider.fold(Fact("commands", pipeline, command, 0, offset))
        decider.fold(Fact("pipelines", pipeline, specification(pipeline=pipeline)))
    announced = [effect for effect in decided(decider, 0) if isinstance(effect, Announce)]
    assert [each.key for each in announced] == ["fraud/1", "fraud", "wind/1", "wind"]


def test_commands_are_taken_in_the_topics_order() -> None:
    """Not in the order of their ids."""
    world = served("a")
    wishes: list[tuple[str, Action]] = [("z", "pause"), ("a", "resume")]
    for command_id, action in wishes:
        asked = Command(command_id=command_id, pipeline="fraud", action=action, expires_at_ms=world.now_ms, by="ops")
        world.tell("commands", "fraud", asked)
    world.settle()
    live = world.live()
    assert live is not None
    assert (live.epoch, live.paused) == (3, False)


def test_repeated_command_is_carried_out_once() -> None:
    """The same record again, even after a restart, is the same command."""
    world = served("a", "b")
    asked = world.command("rollback")
    world.settle()
    world.log.append(next(fact for fact in world.log if fact.role == "commands" and asked in repr(fact.message)))
    world.crash()
    assert world.settle() == []
    assert world.serving() == "1.0.0"


def test_rollback_is_live_at_once_without_asking_workers() -> None:
    """One batch: the epoch, its aliases and the decision. A worker that lacks the version does not hold it up."""
    world = served("a", "b")
    world.beat(worker("w1", resident=("1.0.0", "1.1.0")))
    world.beat(worker("w2", resident=("1.1.0",)))
    asked = world.command("rollback")
    world.decide()
    live = world.live()
    assert live is not None
    assert (live.epoch, live.phase, world.serving()) == (3, "live", "1.0.0")
    assert world.verdict(asked) == "done"
    assert "w2 goes on with what it holds" in world.decisions(asked)[0].reason
    assert world.models()["1.0.0"].aliases == ("champion",)


def test_rollback_to_what_no_worker_holds_is_prepared_first() -> None:
    """Epoch 3 keeps only 1.2.0 and 1.1.0 in memory: 1.0.0 answers once the workers have loaded it, not before."""
    world = served("a", "b", "c")
    world.beat(worker(resident=("1.1.0", "1.2.0")))
    asked = world.command("rollback", "1.0.0")
    world.settle()
    assert (world.serving(), world.rollouts()[4].phase, world.verdict(asked)) == ("1.2.0", "prepare", "")
    world.crash()
    assert world.settle() == []
    world.beat(worker(resident=("1.0.0", "1.2.0"), prepared=ready(4)))
    world.settle()
    live = world.live()
    assert live is not None
    assert (world.serving(), live.understudies) == ("1.0.0", {"1.0.0": "1.1.0"})
    assert world.verdict(asked) == "done"
    world.command("rollback")
    world.settle()
    assert world.rollouts()[5].table[0].version == "1.1.0"


def test_second_rollback_right_after_the_first_waits_until_its_aim_is_loaded() -> None:
    """The first one's understudy is still being loaded: the beats say so, whatever the epoch lists."""
    world = served("a", "b", "c")
    world.beat(worker(resident=("1.1.0", "1.2.0")))
    world.command("rollback")
    world.settle()
    asked = world.command("rollback")
    world.settle()
    assert (world.serving(), world.verdict(asked)) == ("1.1.0", "")
    world.beat(worker(resident=("1.0.0", "1.1.0")))
    world.command("rollback")
    world.settle()
    assert (world.serving(), world.verdict(asked)) == ("1.0.0", "refused")


def test_rollback_that_cannot_be_loaded_is_refused_and_what_answers_goes_on() -> None:
    """A sentence that names the worker, and the version that it was to leave is not left."""
    world = served("a", "b", "c")
    world.beat(worker(resident=("1.1.0", "1.2.0")))
    asked = world.command("rollback", "1.0.0")
    world.settle()
    world.beat(worker(prepared=ready(4, verdict="failed")))
    world.settle()
    (decision,) = world.decisions(asked)
    assert (decision.verdict, world.serving()) == ("refused", "1.2.0")
    assert "worker w1 answered failed" in decision.reason


def test_rollback_of_a_fleet_that_is_down_goes_at_once_to_the_understudy() -> None:
    """What answers may have killed them all: nobody is left to say what is held, but the epoch says it."""
    world = served("a", "b")
    world.beat(worker(leaving=True))
    world.command("rollback")
    world.decide()
    assert world.serving() == "1.0.0"


def test_what_came_back_from_quarantine_meanwhile_is_no_rollbacks_aim() -> None:
    """Nobody keeps it loaded: the alias `previous` and a rollback stay with the understudy that the epoch names."""
    world = served("a", "b", "c")
    world.beat(worker(quarantined=("1.1.0",)))
    world.settle()
    world.publish(candidate("d"))
    world.settle()
    world.beat(worker(resident=("1.0.0", "1.2.0")))
    world.command("promote", "1.3.0")
    world.settle()
    world.command("reinstate", "1.1.0")
    world.settle()
    world.beat(worker(resident=("1.0.0", "1.2.0", "1.3.0"), prepared=ready(5)))
    world.settle()
    assert (world.serving(), world.models()["1.2.0"].aliases) == ("1.3.0", ("previous",))
    world = served("a", "b", "c")
    world.beat(worker(quarantined=("1.1.0",), resident=("1.0.0", "1.2.0")))
    world.settle()
    world.command("reinstate", "1.1.0")
    world.settle()
    world.command("rollback")
    world.settle()
    assert world.serving() == "1.0.0"


def test_rollback_aborts_an_open_prepare_first() -> None:
    """The promotion under way is refused in the same batch, and its late acknowledgements change nothing."""
    world = served("a", "b")
    world.publish(candidate("c"))
    world.beat(worker(resident=("1.0.0", "1.1.0")))
    world.settle()
    promoted = world.command("promote", "1.2.0")
    world.settle()
    undone = world.command("rollback")
    phases = [announced.key for announced in world.decide() if announced.role == "rollouts"]
    assert phases == ["fraud/3", "fraud/4"]
    assert (world.rollouts()[3].phase, world.rollouts()[4].phase) == ("aborted", "live")
    assert (world.verdict(promoted), world.verdict(undone)) == ("refused", "done")
    world.beat(worker(prepared=ready(3)))
    assert world.settle() == []
    assert world.serving() == "1.0.0"


def test_rollback_to_the_version_that_answers_makes_no_epoch() -> None:
    """It says so; the next rollback still goes to the one before, and that one does not count as rolled back from."""
    world = served("a", "b")
    world.beat(worker(resident=("1.0.0", "1.1.0")))
    asked = world.command("rollback", "1.1.0")
    assert [announced.role for announced in world.settle()] == ["decisions"]
    (decision,) = world.decisions(asked)
    assert (decision.verdict, decision.reason, decision.epoch) == ("done", "1.1.0 already answers.", 2)
    world.command("rollback")
    world.settle()
    assert world.serving() == "1.0.0"


def test_rollback_to_the_version_that_answers_ends_an_open_prepare() -> None:
    """Whoever asks for it wants no other version to follow."""
    world = served("a", "b")
    world.publish(candidate("c"))
    world.beat(worker(resident=("1.0.0", "1.1.0")))
    world.settle()
    promoted = world.command("promote", "1.2.0")
    world.settle()
    stays = world.command("rollback", "1.1.0")
    world.settle()
    assert (world.verdict(promoted), world.verdict(stays)) == ("refused", "done")
    assert (sorted(world.rollouts()), world.rollouts()[3].phase, world.serving()) == ([1, 2, 3], "aborted", "1.1.0")


def test_a_second_rollback_goes_further_back_and_never_to_what_was_left() -> None:
    """Epochs of the same table count as one. Two people on call, or a retry, do not undo the rescue."""
    world = served("a", "b", "c")
    world.command("pause")
    world.settle()
    served_now = []
    for _ in range(3):
        asked = world.command("rollback")
        world.settle()
        served_now.append(world.serving())
    assert served_now == ["1.1.0", "1.0.0", "1.0.0"]
    (decision,) = world.decisions(asked)
    assert decision.verdict == "refused"
    assert "1.1.0, 1.2.0 was rolled back from" in decision.reason


def test_version_that_a_rollback_left_stands_in_for_nobody() -> None:
    """It was left for a reason: what the older version cannot answer must not go to it unasked."""
    world = served("a", "b", "c")
    world.command("rollback")
    world.settle()
    live = world.live()
    assert live is not None
    assert live.understudies == {"1.1.0": "1.0.0"}
    world = served("a", "b")
    world.command("rollback")
    world.settle()
    live = world.live()
    assert live is not None
    assert (live.understudies, live.resident) == ({}, ("1.0.0",))
    assert world.models()["1.1.0"].aliases == ()
    world.beat(worker(quarantined=("1.0.0",)))
    world.settle()
    assert world.serving() == ""


@pytest.mark.parametrize(("action", "stands_in"), [("promote", {"1.1.0": "1.0.0"}), ("rollback", {})])
def test_version_that_was_left_is_as_any_other_once_somebody_names_it(
    action: Action, stands_in: dict[str, str]
) -> None:
    """It answers again, and after the next version it is where a rollback goes."""
    world = served("a", "b")
    world.command("rollback")
    world.settle()
    world.command(action, "1.1.0")
    world.settle()
    live = world.live()
    assert live is not None
    assert (world.serving(), live.understudies) == ("1.1.0", stands_in)
    world.command("promote", "1.0.0")
    world.settle()
    world.command("rollback")
    world.settle()
    assert world.serving() == "1.1.0"


def test_rollback_of_a_paused_pipeline_leaves_it_paused() -> None:
    """Only resume ends a pause; and while paused, understudies and resident versions stay as they were."""
    world = served("a", "b", "c")
    world.command("rollback")
    world.settle()
    before = world.live()
    world.command("pause")
    world.settle()
    live = world.live()
    assert before is not None
    assert live is not None
    assert (live.understudies, live.resident) == (before.understudies, before.resident)
    world.command("rollback")
    world.settle()
    live = world.live()
    assert live is not None
    assert (world.serving(), live.paused) == ("1.0.0", True)


def test_rollback_without_anything_before_is_refused() -> None:
    """One version, or none, has no predecessor."""
    world = served("a")
    asked = world.command("rollback")
    world.settle()
    assert world.verdict(asked) == "refused"


def test_pause_holds_policy_and_people_until_resume() -> None:
    """A new live epoch with the same table, in which promotes are refused; resume lets the policy go on."""
    world = served("a", policy="immediate")
    world.command("pause")
    world.settle()
    live = world.live()
    assert live is not None
    assert (live.epoch, live.paused, world.serving()) == (2, True, "1.0.0")
    world.publish(candidate("b"))
    world.settle()
    asked = world.command("promote", "1.1.0")
    world.settle()
    assert (world.verdict(asked), world.serving()) == ("refused", "1.0.0")
    world.command("resume")
    world.settle()
    assert world.serving() == "1.1.0"


def test_pause_aborts_the_open_prepare_in_the_same_batch() -> None:
    """Its number is lower than that of the paused epoch: live, it would never be in force."""
    world = served("a", policy="immediate")
    world.beat(worker())
    world.publish(candidate("b"))
    world.settle()
    world.command("pause")
    world.decide()
    assert [world.rollouts()[epoch].phase for epoch in (2, 3)] == ["aborted", "live"]
    assert world.verdict("2") == "refused"


def test_pause_before_the_first_model_has_an_empty_table() -> None:
    """Pausing works before anything serves, and the first rollout follows that epoch."""
    world = World()
    world.apply("immediate")
    world.command("pause")
    world.settle()
    world.publish(candidate("a"))
    world.settle()
    assert (world.serving(), world.rollouts()[1].table) == ("", ())
    world.command("resume")
    world.settle()
    assert (world.serving(), world.rollouts()[3].expected_previous) == ("1.0.0", 2)


def test_asking_for_what_already_holds_is_done_without_a_new_epoch() -> None:
    """Promote of the serving version and resume of what is not paused."""
    world = served("a")
    asked = [world.command("promote", "1.0.0"), world.command("resume")]
    world.settle()
    assert [world.verdict(each) for each in asked] == ["done", "done"]
    assert list(world.rollouts()) == [1]


def test_promote_waits_for_another_prepare_but_a_later_rollback_does_not() -> None:
    """At most one prepare is open; what cannot begin yet holds nobody up."""
    world = served("a", "b")
    world.publish(candidate("c"))
    world.beat(worker())
    world.settle()
    first, second = world.command("promote", "1.2.0"), world.command("promote", "1.0.0")
    world.settle()
    assert [rollout.epoch for rollout in world.rollouts().values() if rollout.phase == "prepare"] == [3]
    assert (world.verdict(first), world.verdict(second)) == ("", "")
    world.beat(worker(prepared=ready(3, 4)))
    world.settle()
    assert (world.verdict(first), world.verdict(second), world.serving()) == ("done", "done", "1.0.0")


def test_version_that_a_rollback_would_go_to_is_not_retired() -> None:
    """Also where it is nobody's understudy, as one that has come back from quarantine."""
    world = served("a", "b")
    world.beat(worker(quarantined=("1.0.0",)))
    world.settle()
    world.command("reinstate", "1.0.0")
    world.settle()
    asked = world.command("retire", "1.0.0")
    world.settle()
    (decision,) = world.decisions(asked)
    assert "where a rollback goes" in decision.reason


def test_retired_version_serves_no_more() -> None:
    """Once nothing needs it, it is retired, and can neither be promoted nor rolled back to."""
    world = served("a", "b", "c")
    retired = world.command("retire", "1.0.0", text="too old")
    world.settle()
    assert (world.verdict(retired), world.models()["1.0.0"].state) == ("done", "retired")
    asked = [world.command("promote", "1.0.0"), world.command("rollback", "1.0.0")]
    world.settle()
    assert [world.verdict(each) for each in asked] == ["refused", "refused"]


def test_version_in_an_open_prepare_is_not_retired() -> None:
    """What workers are loading right now is in use."""
    world = served("a", "b", "c")
    world.beat(worker())
    world.command("promote", "1.0.0")
    world.settle()
    asked = world.command("retire", "1.0.0")
    world.settle()
    assert world.verdict(asked) == "refused"


def test_annotation_goes_into_the_history() -> None:
    """The note, with who wrote it and when, after what was there."""
    world = served("a")
    before = world.models()["1.0.0"].history
    world.now_ms += 5
    world.command("annotate", "1.0.0", text="seen by audit")
    world.settle()
    after = world.models()["1.0.0"].history
    assert after[:-1] == before
    assert (after[-1].at_ms, after[-1].what) == (world.now_ms, "annotate by ops: seen by audit")


def withdrawn(world: World, asked: str) -> None:
    """Its sender takes it back: the same command again, with no time left."""
    command = next(
        fact.message for fact in world.log if isinstance(fact.message, Command) and fact.message.command_id == asked
    )
    world.tell("commands", PIPELINE, command.model_copy(update={"expires_at_ms": 0}))


def test_withdrawn_command_is_not_carried_out_by_a_registry_that_comes_later() -> None:
    """Whoever gave up waiting must not find it done half an hour later."""
    world = served("a", "b")
    asked = world.command("rollback")
    withdrawn(world, asked)
    world.crash()
    world.settle()
    assert (world.verdict(asked), world.serving()) == ("expired", "1.1.0")


def test_withdrawn_promote_aborts_what_it_has_begun() -> None:
    """Workers are loading it already: it never goes live."""
    world = served("a", "b")
    world.beat(worker())
    asked = world.command("promote", "1.0.0")
    world.settle()
    withdrawn(world, asked)
    world.settle()
    (decision,) = world.decisions(asked)
    assert (decision.verdict, world.serving()) == ("refused", "1.1.0")
    assert "withdrawn" in decision.reason


def test_what_is_withdrawn_after_its_decision_changes_nothing() -> None:
    """It came too late: one command has one decision."""
    world = served("a", "b")
    asked = world.command("rollback")
    world.settle()
    withdrawn(world, asked)
    assert world.settle() == []
    assert world.serving() == "1.0.0"


def test_a_registrys_own_beat_is_no_workers() -> None:
    """It makes no pipeline of nameless events."""
    decider = RegistryDecider()
    beat = WorkerState(instance="registry/owner", service="registry", pipeline="", interval_ms=3_000)
    decider.fold(Fact("workers", beat.instance, beat, 0, 0))
    assert decider.pipelines() == []
