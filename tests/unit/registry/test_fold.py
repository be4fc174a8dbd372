"""Facts to state: an older record that comes late, or twice, changes nothing."""

from support.registry import World, candidate, decided, ready, refold, served, worker


def test_whole_log_again_changes_nothing() -> None:
    """A settled registry stays settled, whatever it reads a second time."""
    world = served("a", "b", "c", policy="immediate")
    world.command("rollback")
    world.settle()
    assert decided(refold(world.log + world.log), world.now_ms) == []


def test_highest_specification_number_holds() -> None:
    """A late older specification does not bring back its policy."""
    world = World()
    world.apply("immediate", number=2)
    world.apply("manual", number=1)
    world.publish(candidate("a"))
    world.settle()
    assert world.serving() == "1.0.0"


def test_newest_beat_holds() -> None:
    """A late older state of a worker does not take back what it has prepared."""
    world = served("a")
    world.publish(candidate("b"))
    world.beat(worker())
    world.settle()
    world.command("promote", "1.1.0")
    world.settle()
    older = next(fact for fact in world.log if fact.role == "workers")
    world.beat(worker(prepared=ready(2)))
    world.decider.fold(older)
    world.settle()
    assert world.serving() == "1.1.0"


def test_forgotten_worker_is_not_waited_for() -> None:
    """A tombstone on the workers topic ends what the worker said, at once."""
    world = served("a")
    world.publish(candidate("b"))
    world.beat(worker())
    world.settle()
    world.command("promote", "1.1.0")
    assert world.settle()[-1].role == "rollouts"
    world.tell("workers", "w1", None)
    world.settle()
    assert world.serving() == "1.1.0"


def test_candidate_published_again_keeps_its_turn_and_renews_its_hint() -> None:
    """Order is that of the first publication; chunk offsets are those of the last."""
    world = World()
    first, second = candidate("z"), candidate("a")
    for asked in (first, second, first.model_copy(update={"chunk_offsets": (7,)})):
        world.publish(asked)
    world.apply()
    world.settle()
    assert world.models()["1.0.0"].manifest == first.manifest
    assert world.models()["1.0.0"].chunk_offsets == (7,)


def test_withdrawn_candidate_is_not_judged() -> None:
    """A tombstone before the verdict withdraws the candidate, even while its admission runs."""
    world = World()
    world.apply()
    asked = candidate("a")
    world.publish(asked)
    world.decide()
    world.tell("candidates", f"fraud/{asked.manifest.digest}", None)
    assert world.settle() == []
