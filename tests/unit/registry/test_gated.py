"""The policy `gated`: what retraining has found good enough goes live, what it has not is told and left to people."""

import pytest

from freshet.contracts.messages import Decision
from freshet.pipeline.gate import GateVerdict
from support.registry import World, candidate

CLAUSES = ("accuracy 0.9 may be worse than 0.8 of 1.0.0 by 0.01: pass", "log_loss 0.6 must be at most 0.5: fail")


def gated(approval: str = "none") -> World:
    """A pipeline under the policy, of which 1.0.0 answers."""
    world = World()
    world.apply("gated", approval=approval)
    world.publish(candidate("first"))
    world.settle()
    world.command("promote", "1.0.0")
    world.settle()
    assert world.serving() == "1.0.0"
    return world


def trained(world: World, gate: GateVerdict, champion: str = "1.0.0") -> Decision:
    """A model of retraining's comes; what the registry tells of it beside its admission."""
    seen = len(world.log)
    world.publish(candidate("second", lineage={"training": "t1", "champion": champion, **gate.lineage}))
    world.settle()
    told = [fact.message for fact in world.log[seen:] if isinstance(fact.message, Decision)]
    (found,) = [decision for decision in told if decision.subject == "1.1.0"]
    return found


def test_version_that_passed_goes_live_and_each_clause_is_told() -> None:
    """By itself: nobody has asked."""
    world = gated()
    told = trained(world, GateVerdict("pass", CLAUSES[:1]))
    assert world.serving() == "1.1.0"
    assert (told.verdict, told.inputs["training"], told.inputs["clause 1"]) == ("done", "t1", CLAUSES[0])
    assert CLAUSES[0] in told.reason
    assert world.rollouts()[2].cause == "policy gated"


@pytest.mark.parametrize(
    ("gate", "champion", "words"),
    [
        (GateVerdict("fail", CLAUSES), "1.0.0", CLAUSES[1]),
        (GateVerdict("none"), "1.0.0", "nobody has judged it"),
        (GateVerdict("pass", CLAUSES[:1]), "0.9.0", "compared with 0.9.0, and 1.0.0 answers now"),
    ],
)
def test_version_that_did_not_pass_is_refused_with_the_reason_and_waits_for_a_person(
    gate: GateVerdict, champion: str, words: str
) -> None:
    """It stays admitted: a person may know better."""
    world = gated()
    told = trained(world, gate, champion)
    assert (world.serving(), told.verdict) == ("1.0.0", "refused")
    assert words in told.reason
    assert world.settle() == []
    world.command("promote", "1.1.0")
    world.settle()
    assert world.serving() == "1.1.0"


def test_version_that_passed_waits_for_approval_where_that_is_required() -> None:
    """The decision names the command that approves."""
    world = gated("required")
    told = trained(world, GateVerdict("pass", CLAUSES[:1]))
    assert (world.serving(), told.verdict) == ("1.0.0", "done")
    assert "freshet model promote 1.1.0 --pipeline fraud" in told.reason
    world.command("promote", "1.1.0")
    world.settle()
    assert world.serving() == "1.1.0"


def test_no_policy_rolls_out_what_somebody_has_to_approve() -> None:
    """Also one that looks at nothing but whether a version is new."""
    world = World()
    world.apply("immediate", approval="required")
    world.publish(candidate("first"))
    world.settle()
    assert world.rollouts() == {}
    world.command("promote", "1.0.0")
    world.settle()
    assert world.serving() == "1.0.0"


def test_rollback_is_not_undone_by_a_version_that_was_refused() -> None:
    """What was compared with another version does not come back when that one answers again."""
    world = gated()
    world.publish(candidate("by hand"))
    world.settle()
    world.command("promote", "1.1.0")
    world.settle()
    late = {"training": "t1", "champion": "1.0.0", **GateVerdict("pass", CLAUSES[:1]).lineage}
    world.publish(candidate("late", lineage=late))
    world.settle()
    assert world.serving() == "1.1.0"
    world.command("rollback")
    world.settle()
    assert world.serving() == "1.0.0"


def test_command_to_retrain_is_not_the_registrys() -> None:
    """Retraining answers it; here it would have expired, or worse."""
    world = gated()
    asked = world.command("retrain", ttl_ms=1)
    world.now_ms += 2
    assert world.settle() == []
    assert world.verdict(asked) == ""
