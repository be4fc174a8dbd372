"""A pipeline that is deleted is forgotten whole, and its name begins anew."""

from freshet.contracts.messages import Decision
from support.registry import Judgement, World, candidate, decided, refold, served


def deleted(world: World, number: int = 1) -> None:
    """What `freshet pipeline delete` writes before it asks the registry."""
    for key in {fact.key for fact in world.log if fact.role == "candidates"}:
        world.tell("candidates", key, None)
    for old in range(1, number + 1):
        world.tell("pipelines", f"fraud/{old}", None)


def test_versions_refusals_and_epochs_are_forgotten_together() -> None:
    """One step withdraws every record that the registry has of the pipeline, and says so; then nothing follows."""
    world = served("a", "b", policy="immediate")
    bad = candidate("bad")
    world.judgements[bad.manifest.digest] = Judgement(admitted=False, reason="graph", detail="no.")
    world.publish(bad)
    world.settle()
    kept = {(fact.role, fact.key) for fact in world.log if fact.role in ("models", "rollouts")}
    deleted(world)
    announced = world.decide()
    assert {(effect.role, effect.key) for effect in announced if effect.message is None} == kept
    said = [effect.message for effect in announced if isinstance(effect.message, Decision)]
    assert [one.reason for one in said] == ["pipeline fraud was deleted: its 2 versions and 2 epochs are forgotten."]
    assert world.settle() == []
    assert decided(refold(world.log), world.now_ms) == []


def test_the_name_begins_anew() -> None:
    """Applied again, with the very same model: version 1.0.0 and epoch 1, also for a registry that starts now."""
    world = served("a", "b", policy="immediate")
    deleted(world)
    world.settle()
    world.apply("immediate")
    world.publish(candidate("b"))
    world.settle()
    assert [fact.key for fact in world.log[-4:] if fact.role == "models"] == ["fraud/1.0.0"]
    assert {fact.key for fact in world.log[-4:] if fact.role == "rollouts"} == {"fraud/1"}
    assert decided(refold(world.log), world.now_ms) == []


def test_only_the_end_of_the_newest_specification_deletes() -> None:
    """That an older number goes, as a cleaner may do it, changes nothing."""
    world = served("a", policy="immediate")
    world.apply("immediate", number=2)
    world.tell("pipelines", "fraud/1", None)
    assert world.settle() == []


def test_a_specification_that_follows_ends_the_deletion() -> None:
    """A registry that starts after all is over reads the old tombstone first, and keeps what is new."""
    world = served("a", policy="immediate")
    deleted(world)
    world.settle()
    world.apply("immediate")
    world.publish(candidate("c"))
    world.settle()
    again = refold(world.log)
    assert decided(again, world.now_ms) == []
    assert world.serving() == "1.0.0"
