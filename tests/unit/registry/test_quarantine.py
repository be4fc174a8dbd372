"""Versions that failed in service."""

from support.registry import World, candidate, ready, served, worker


def test_quarantine_goes_live_with_the_understudy_at_once() -> None:
    """One batch: the model's state, the new epoch with its revoked digest, and the decision that names the worker."""
    world = served("a", "b")
    world.beat(worker("w1", quarantined=("1.1.0",)))
    world.beat(worker("w2"))
    world.decide()
    live, failed = world.live(), world.models()["1.1.0"]
    assert live is not None
    assert (live.epoch, world.serving(), live.understudies) == (3, "1.0.0", {})
    assert live.resident == ("1.0.0",)
    assert live.revoked == (failed.manifest.digest,)
    assert (failed.state, failed.aliases) == ("quarantined", ())
    (decision,) = world.decisions("3")
    assert (decision.about, decision.inputs["cause"], decision.inputs["workers"]) == ("rollout", "quarantine", "w1")
    assert world.settle() == []


def test_quarantine_comes_before_commands_and_aborts_the_open_prepare() -> None:
    """Nothing is more urgent; the promotion under way is answered."""
    world = served("a", "b")
    world.publish(candidate("c"))
    world.beat(worker())
    world.settle()
    asked = world.command("promote", "1.2.0")
    world.settle()
    world.command("annotate", "1.0.0")
    world.beat(worker(prepared=ready(3), quarantined=("1.1.0",)))
    roles = [announced.role for announced in world.decide()]
    assert roles.count("rollouts") == 2
    assert (world.serving(), world.verdict(asked)) == ("1.0.0", "refused")


def test_dead_workers_report_still_counts() -> None:
    """The worker may have died of it; partitions wait in fallback for the new epoch."""
    world = served("a", "b")
    world.beat(worker(quarantined=("1.1.0",)))
    world.now_ms += 1_000_000
    world.crash()
    world.settle()
    assert world.serving() == "1.0.0"


def test_last_model_quarantined_leaves_an_empty_table() -> None:
    """A bad model never answers: with nobody to stand in, records wait for the next promotion."""
    world = served("a")
    world.beat(worker(quarantined=("1.0.0",)))
    world.settle()
    live = world.live()
    assert live is not None
    assert live.table == ()
    world.publish(candidate("b"))
    world.settle()
    world.beat(worker(quarantined=("1.0.0",), prepared=ready(3)))
    world.command("promote", "1.1.0")
    world.settle()
    assert world.serving() == "1.1.0"


def test_quarantined_understudy_is_replaced() -> None:
    """The serving version stays, and a new epoch names somebody else to stand in."""
    world = served("a", "b", "c")
    world.beat(worker(quarantined=("1.1.0",)))
    world.settle()
    live = world.live()
    assert live is not None
    assert (world.serving(), live.understudies, live.epoch) == ("1.2.0", {"1.2.0": "1.0.0"}, 4)
    assert world.models()["1.0.0"].aliases == ("previous",)


def test_quarantine_of_a_version_that_a_rollback_left_moves_nothing() -> None:
    """Nobody keeps it loaded any more: the epoch in force stays, and the next one revokes it."""
    world = served("a", "b", "c")
    world.command("rollback")
    world.settle()
    world.beat(worker(quarantined=("1.2.0",)))
    world.settle()
    live = world.live()
    assert live is not None
    assert (live.epoch, world.models()["1.2.0"].state) == (4, "quarantined")
    world.command("pause")
    world.settle()
    live = world.live()
    assert live is not None
    assert (live.resident, live.revoked) == (("1.0.0", "1.1.0"), (world.models()["1.2.0"].manifest.digest,))


def test_revoked_digest_stays_revoked() -> None:
    """Retiring a quarantined version does not let it be loaded again."""
    world = served("a", "b")
    world.beat(worker(quarantined=("1.1.0",)))
    world.settle()
    world.command("retire", "1.1.0")
    world.command("pause")
    world.settle()
    live = world.live()
    assert live is not None
    assert (live.epoch, live.revoked) == (4, (world.models()["1.1.0"].manifest.digest,))


def test_policy_does_not_fill_the_gap_with_a_version_that_was_passed_over() -> None:
    """Immediate tries the newest version only, and only once: after its quarantine the understudy serves on."""
    world = World()
    world.apply("immediate")
    world.publish(candidate("a"))
    world.settle()
    world.command("pause")
    world.settle()
    for name in ("b", "c"):
        world.publish(candidate(name))
        world.settle()
    world.command("resume")
    world.settle()
    assert world.serving() == "1.2.0"
    world.beat(worker(quarantined=("1.2.0",)))
    world.settle()
    assert world.serving() == "1.0.0"


def test_beat_from_the_future_hides_no_quarantine() -> None:
    """A clock was an hour ahead for one beat: of two beats the one at the later offset is the newer."""
    world = served("a", "b")
    world.now_ms += 3_600_000
    world.beat(worker("w1"))
    world.now_ms -= 3_599_000
    world.beat(worker("w1", quarantined=("1.1.0",)))
    world.settle()
    assert world.serving() == "1.0.0"


def reinstated() -> World:
    """1.1.0 failed on w1, which still says so; an operator has taken it back."""
    world = served("a", "b")
    world.beat(worker("w1", quarantined=("1.1.0",)))
    world.settle()
    asked = world.command("reinstate", "1.1.0", text="the host was suspended")
    world.settle()
    assert world.verdict(asked) == "done"
    return world


def test_reinstated_version_may_serve_again() -> None:
    """It is admitted, says by whom and why, and its artifact is revoked no more; it answers once it is promoted."""
    world = reinstated()
    back = world.models()["1.1.0"]
    assert (back.state, world.serving()) == ("admitted", "1.0.0")
    assert "reinstate by ops: the host was suspended" in back.history[-1].what
    world.beat(worker("w1", quarantined=("1.1.0",), prepared=ready(4)))
    world.command("promote", "1.1.0")
    world.settle()
    live = world.live()
    assert live is not None
    assert (world.serving(), live.revoked) == ("1.1.0", ())
    world.crash()
    assert world.settle() == []


def test_failure_after_the_pardon_counts() -> None:
    """A worker that no longer reported it and then does has seen it fail anew; so has another worker."""
    for again in ("w1", "w2"):
        world = reinstated()
        world.beat(worker("w1"))
        world.settle()
        world.beat(worker(again, quarantined=("1.1.0",)))
        world.crash()
        world.settle()
        assert world.models()["1.1.0"].state == "quarantined"


def test_only_what_is_quarantined_is_reinstated() -> None:
    """Not what serves, was retired, or never was."""
    world = served("a", "b")
    world.publish(candidate("c"))
    world.settle()
    world.command("retire", "1.2.0")
    world.settle()
    for version in ("1.1.0", "1.2.0", "9.0.0", ""):
        asked = world.command("reinstate", version)
        world.settle()
        assert world.verdict(asked) == "refused"


def test_the_same_bytes_under_another_manifest_fall_with_it() -> None:
    """An artifact that failed is quarantined under each of its numbers, and refused under a new one."""
    world = served("a")
    twin = candidate("b", lineage={"training_set": "d1"})
    for asked in (candidate("b"), twin):
        world.publish(asked)
        world.settle()
    world.beat(worker("w1", quarantined=("1.1.0",)))
    world.settle()
    assert [world.models()[version].state for version in ("1.1.0", "1.2.0")] == ["quarantined", "quarantined"]
    world.publish(candidate("b", lineage={"training_set": "d2"}))
    world.settle()
    assert "1.3.0" not in world.models()
    assert "artifact_revoked" in world.decisions(twin.manifest.digest)[-1].reason


def test_prepare_whose_stand_in_is_quarantined_is_aborted() -> None:
    """While nobody serves, no new epoch overtakes it: its stand-in must be looked at as well."""
    world = served("a")
    world.beat(worker("w1", quarantined=("1.0.0",)))
    world.settle()
    world.command("reinstate", "1.0.0")
    world.settle()
    world.beat(worker("w1"))
    world.publish(candidate("b"))
    world.settle()
    asked = world.command("promote", "1.1.0")
    world.settle()
    epoch = max(world.rollouts())
    assert world.rollouts()[epoch].understudies == {"1.1.0": "1.0.0"}
    world.beat(worker("w1", quarantined=("1.0.0",)))
    world.settle()
    assert world.rollouts()[epoch].phase == "aborted"
    (decision,) = world.decisions(asked)
    assert "1.0.0 may no longer serve" in decision.reason
