"""A registry of a pipeline that demands signatures: what it refuses, and what it signs."""

from collections.abc import Callable

import pytest

from freshet.cli.model.publish import refused, shown
from freshet.contracts.logic import Fact
from freshet.contracts.messages import Action, Candidate, Rollout, Share
from freshet.ledger.versions import REFUSED_AGAIN, said_again
from freshet.registry.core.decider import RegistryDecider
from freshet.trust.signature_check import Objection, objection
from freshet.trust.signing_key import SigningKey
from freshet.trust.statements import release_statement
from support.registry import PIPELINE, World, candidate, ready, specification, worker
from support.registry_laws import Lawless
from support.signed import KeyRing, demanding, signed


def trusting(ring: KeyRing, policy: str = "manual") -> World:
    """A world whose pipeline demands signatures."""
    world = World()
    world.decider = RegistryDecider(ring.keys, ring.release)
    world.tell("pipelines", f"{PIPELINE}/1", demanding(specification(policy)))
    return world


def refusal(world: World, asked: Candidate) -> str:
    """Why the candidate is refused; empty if it is admitted."""
    world.publish(asked)
    world.settle()
    return next((record.reason for record in world.models().values() if record.state == "refused"), "")


def against(epoch: Rollout, ring: KeyRing) -> Objection | None:
    """What speaks against an epoch's signature."""
    return objection("release", release_statement(epoch), epoch.signatures, ring.now)


def changed(ring: KeyRing) -> Candidate:
    """Another manifest under a signature of the first."""
    other = candidate("b")
    return other.model_copy(update={"signatures": signed(candidate("a"), ring.builder).signatures})


def of_another_pipeline(ring: KeyRing) -> Candidate:
    """A manifest that was signed for another pipeline."""
    mine = candidate("a")
    theirs = mine.model_copy(update={"manifest": mine.manifest.model_copy(update={"pipeline": "loans"})})
    return mine.model_copy(update={"signatures": signed(theirs, ring.builder).signatures})


def revoked(ring: KeyRing) -> Candidate:
    """Signed by a key that was revoked."""
    ring.revoke(ring.builder)
    return signed(candidate("a"), ring.builder)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (lambda _: candidate("a"), "signature_missing"),
        (lambda ring: signed(candidate("a"), ring.stranger), "signature_unknown_key"),
        (lambda ring: signed(candidate("a"), ring.release), "signature_wrong_role"),
        (revoked, "signature_revoked_key"),
        (changed, "signature_invalid"),
        (of_another_pipeline, "signature_invalid"),
    ],
    ids=["unsigned", "unknown key", "wrong role", "revoked", "other bytes", "other pipeline"],
)
def test_a_candidate_without_a_trusted_signature_is_refused(asked: Callable[[KeyRing], Candidate], reason: str) -> None:
    """Each with its own code and what to do, and before the sandbox sees a byte of it."""
    ring = KeyRing()
    world = trusting(ring)
    told = refusal(world, asked(ring))
    assert told.startswith(f"{reason}: ")
    assert "freshet model sign" in told or "Add it as a builder key" in told
    assert world.jobs == []


def test_what_is_signed_is_admitted_and_its_epochs_are_signed() -> None:
    """Both phases of the epoch bear a release signature of exactly that; a refused model that is signed comes in."""
    ring = KeyRing()
    world = trusting(ring)
    assert refusal(world, candidate("a"))
    world.publish(signed(candidate("a"), ring.builder))
    world.settle()
    asked = world.command("promote", "1.0.0")
    world.settle()
    assert world.verdict(asked) == "done"
    live = world.live()
    assert live is not None
    assert live.life == "a1"
    assert live.manifests == {"1.0.0": world.models()["1.0.0"].manifest_id}
    epochs = [fact.message for fact in world.log if isinstance(fact.message, Rollout)]
    assert [against(epoch, ring) for epoch in epochs] == [None, None]
    assert against(live.model_copy(update={"phase": "aborted"}), ring)


def test_a_pipeline_without_trust_is_as_before() -> None:
    """Nothing is demanded where the specification says nothing."""
    world = World()
    world.decider = RegistryDecider(KeyRing().keys)
    world.apply("immediate")
    assert refusal(world, candidate("a")) == ""
    assert world.serving() == "1.0.0"


def test_revocation_bars_promotion_and_rollback_but_takes_nothing_away() -> None:
    """What a revoked builder made answers on, is no one's understudy, and a new signature brings it back."""
    ring = KeyRing()
    world = trusting(ring)
    for minor, name in enumerate(("a", "b")):
        world.publish(signed(candidate(name), ring.builder))
        world.settle()
        world.command("promote", f"1.{minor}.0")
        world.settle()
    ring.revoke(ring.builder)
    ring.trust(ring.stranger, "builder")
    world.settle()
    assert world.serving() == "1.1.0"
    back, named = world.command("rollback"), world.command("promote", "1.0.0")
    world.settle()
    assert (world.verdict(back), world.verdict(named)) == ("refused", "refused")
    assert "signature_revoked_key" in world.decisions(named)[0].reason
    world.publish(signed(candidate("a"), ring.stranger))
    world.settle()
    again = world.command("promote", "1.0.0")
    world.settle()
    assert world.verdict(again) == "done"
    live = world.live()
    assert live is not None
    assert live.understudies == {}, "1.1.0 is still of the revoked key"


def test_a_stranger_cannot_weaken_a_signature_by_publishing_again() -> None:
    """The signatures of a version are only replaced by trusted ones."""
    ring = KeyRing()
    world = trusting(ring)
    world.publish(signed(candidate("a"), ring.builder))
    world.settle()
    world.publish(signed(candidate("a"), ring.stranger))
    world.settle()
    assert list(world.models()["1.0.0"].signatures) == [ring.builder.id]


def test_a_forged_epoch_is_not_in_force_for_the_next_owner() -> None:
    """A successor that folds a stranger's epoch goes on under its own, and rolls out under the same number."""
    ring = KeyRing()
    world = trusting(ring)
    for name in ("a", "b"):
        world.publish(signed(candidate(name), ring.builder))
        world.settle()
    world.command("promote", "1.0.0")
    world.settle()
    live = world.live()
    assert live is not None
    forged = live.model_copy(update={"epoch": 9, "table": live.table, "cause": "stranger"})
    world.decider = RegistryDecider(ring.keys, ring.release)
    for fact in (*world.log, Fact("rollouts", f"{PIPELINE}/9", forged, world.now_ms, len(world.log))):
        world.decider.fold(fact)
    world.settle()
    asked = world.command("promote", "1.1.0")
    world.settle()
    assert world.verdict(asked) == "done"
    assert world.rollouts()[2].table[0].version == "1.1.0"


def test_to_promote_the_version_that_answers_makes_a_new_epoch() -> None:
    """Its record may have been written over, which the registry does not see; asked once, it makes one."""
    ring = KeyRing()
    world = trusting(ring)
    world.publish(signed(candidate("a"), ring.builder))
    world.settle()
    for epochs in ([1], [1, 2], [1, 2, 3]):
        asked = world.command("promote", "1.0.0")
        world.settle()
        assert world.verdict(asked) == "done"
        assert [*world.rollouts()] == epochs
    assert world.serving() == "1.0.0"


@pytest.mark.parametrize("lost", ["no key", "revoked key"])
def test_a_registry_that_cannot_sign_says_so(lost: str) -> None:
    """A command that needs an epoch is refused with what to do; nothing is written that nobody would believe."""
    ring = KeyRing()
    world = trusting(ring)
    world.publish(signed(candidate("a"), ring.builder))
    world.settle()
    if lost == "no key":
        world.decider = RegistryDecider(ring.keys)
        for fact in world.log:
            world.decider.fold(fact)
    else:
        ring.revoke(ring.release)
    asked = world.command("promote", "1.0.0")
    world.settle()
    assert world.verdict(asked) == "refused"
    assert "release key" in world.decisions(asked)[0].reason
    assert world.rollouts() == {}


def test_a_quarantine_that_cannot_be_signed_holds_up_nobody_else_and_is_told() -> None:
    """Each command is answered, models are judged, and once there is a key that counts the version goes."""
    ring = KeyRing()
    world = trusting(ring)
    for minor, name in enumerate(("a", "b")):
        world.publish(signed(candidate(name), ring.builder))
        world.settle()
        world.command("promote", f"1.{minor}.0")
        world.settle()
    ring.revoke(ring.release)
    world.beat(worker(quarantined=("1.1.0",)))
    actions: tuple[Action, ...] = ("annotate", "promote", "rollback", "retire", "reinstate", "pause")
    asked = {action: world.command(action, "" if action in ("rollback", "pause") else "1.0.0") for action in actions}
    world.publish(signed(candidate("c"), ring.builder))
    world.settle()
    assert [world.verdict(each) for each in asked.values()] == ["done"] + ["refused"] * 5
    assert world.models()["1.2.0"].state == "admitted"
    assert [*world.rollouts()] == [1, 2]
    (told,) = world.decider.warnings()
    assert told.startswith(f"pipeline {PIPELINE}: epoch 3 (quarantine 1.1.0) waits")
    assert ring.release.id in told

    ring.trust(ring.release, "release")
    world.settle()
    assert (world.serving(), world.models()["1.1.0"].state) == ("1.0.0", "quarantined")
    assert [*world.decider.warnings()] == []


def test_a_prepare_that_cannot_end_for_want_of_a_key_lets_others_be_answered() -> None:
    """What was asked for first ends once there is a key; what comes meanwhile is answered at once."""
    ring = KeyRing()
    world = trusting(ring)
    world.publish(signed(candidate("a"), ring.builder))
    world.beat(worker())
    world.settle()
    first = world.command("promote", "1.0.0")
    world.settle()
    ring.revoke(ring.release)
    world.settle()
    (told,) = world.decider.warnings()
    assert "epoch 1 (promote) waits" in told, "before its workers have answered or its deadline has passed"
    world.beat(worker(prepared=ready(1)))
    noted, second = world.command("annotate", "1.0.0"), world.command("promote", "1.0.0")
    world.settle()
    assert (world.verdict(noted), world.verdict(second)) == ("done", "refused")
    (told,) = world.decider.warnings()
    assert "epoch 1 (promote) waits" in told
    ring.trust(ring.release, "release")
    world.settle()
    assert (world.verdict(first), world.serving()) == ("done", "1.0.0")


def test_without_a_trust_file_nothing_is_admitted_where_signatures_are_demanded() -> None:
    """The registry serves other pipelines: it goes on, and says what it lacks."""
    ring = KeyRing()
    world = trusting(ring)
    world.decider = RegistryDecider()
    for fact in world.log:
        world.decider.fold(fact)
    assert refusal(world, signed(candidate("a"), ring.builder)).startswith("trust_unset: ")


def three_versions(ring: KeyRing) -> tuple[World, SigningKey]:
    """1.0.0, 1.1.0 and 1.2.0 have served one after the other; another builder than the rest made 1.1.0."""
    world, other = trusting(ring), SigningKey.generate()
    ring.trust(other, "builder")
    for minor, (name, key) in enumerate((("a", ring.builder), ("b", other), ("c", ring.builder))):
        world.publish(signed(candidate(name), key))
        world.settle()
        world.command("promote", f"1.{minor}.0")
        world.settle()
    assert world.serving() == "1.2.0"
    return world, other


@pytest.mark.parametrize("held", [True, False], ids=["held", "to be loaded"])
def test_a_rollback_names_what_it_passed_over(*, held: bool) -> None:
    """Not the version that served last, since its builder's key is revoked: whoever asked must not think it was."""
    ring = KeyRing()
    world, other = three_versions(ring)
    ring.revoke(other)
    if held:
        world.beat(worker(resident=("1.0.0",)))
    asked = world.command("rollback")
    world.settle()
    assert (world.verdict(asked), world.serving()) == ("done", "1.0.0")
    told = world.decisions(asked)[0].reason
    assert f"Passed over, though they served later: 1.1.0 (signature_revoked_key: key {other.id}" in told
    named = world.command("rollback", "1.0.0")
    world.settle()
    assert "Passed over" not in world.decisions(named)[0].reason


def test_a_rollback_that_signatures_bar_says_so() -> None:
    """Three versions have served: it is not true that none has."""
    ring = KeyRing()
    world, other = three_versions(ring)
    ring.revoke(other)
    ring.revoke(ring.builder)
    asked = world.command("rollback")
    world.settle()
    told = world.decisions(asked)[0].reason
    assert world.verdict(asked) == "refused"
    assert told.startswith("what served before may not answer: 1.1.0 (signature_revoked_key: ")
    assert "1.0.0 (signature_revoked_key: " in told


@pytest.mark.parametrize("promoted", [False, True])
def test_a_rollback_past_a_revoked_release_key_says_what_served_before(*, promoted: bool) -> None:
    """The registry has another key, and does not believe the epochs of the revoked one, nor a stranger's."""
    ring = KeyRing()
    world, other = three_versions(ring)
    ring.revoke(ring.release)
    ring.revoke(other)
    ring.trust(ring.stranger, "release")
    live = world.live()
    assert live is not None
    world.laws = Lawless()
    world.decider = RegistryDecider(ring.keys, ring.stranger)
    forged = live.model_copy(update={"epoch": 9, "table": (Share(version="6.6.6", share=10_000),)})
    for fact in (*world.log, Fact("rollouts", f"{PIPELINE}/9", forged, world.now_ms, 999)):
        world.decider.fold(fact)
    if promoted:
        world.command("promote", "1.2.0")
        world.settle()
    asked = world.command("rollback")
    world.settle()
    told = world.decisions(asked)[0].reason
    assert world.verdict(asked) == "refused"
    assert told.startswith("1.2.0, 1.1.0, 1.0.0 served before, but the release key that signed the epochs (1 to 3)")
    assert f"`freshet model promote {'1.0.0' if promoted else '1.2.0'} --pipeline {PIPELINE}`" in told
    assert "1.1.0 (signature_revoked_key: " in told
    assert "6.6.6" not in told


def test_whoever_publishes_a_version_again_is_told_what_became_of_its_signatures() -> None:
    """Refused, if none of them counts: also the very bundle that was admitted before its builder was revoked."""
    ring = KeyRing()
    world = trusting(ring)
    again = signed(candidate("a"), ring.builder)

    def told(asked: Candidate, chunk: int) -> str:
        offset = len(world.log)
        world.publish(asked.model_copy(update={"chunk_offsets": (chunk,)}))
        world.settle()
        record = world.models()["1.0.0"]
        assert record.candidate_offset == offset, "whoever published it waits for that"
        assert shown(record).startswith(said_again(record))
        assert refused(record) == said_again(record).startswith(REFUSED_AGAIN)
        return said_again(record)

    assert told(again, 1) == ""
    assert told(again, 2) == "published again: its chunks are looked for there first."
    ring.revoke(ring.builder)
    ring.trust(ring.stranger, "builder")
    assert told(again, 3).startswith(f"{REFUSED_AGAIN}signature_revoked_key: key {ring.builder.id} ")
    both = signed(candidate("a"), ring.stranger)
    assert told(both, 4) == f"published again: its new signature by {ring.stranger.id} counts."
    assert told(again, 5).startswith(REFUSED_AGAIN)
    assert list(world.models()["1.0.0"].signatures) == [ring.stranger.id]
