"""Somebody writes versions, refusals and candidates without end: they fill no process, and hide nothing signed."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from freshet.avro.control import encode
from freshet.contracts.logic import Fact
from freshet.contracts.messages import Candidate, Change, ModelVersion
from freshet.ledger.ledger import PipelineLedger
from freshet.ledger.manifest_id import manifest_id
from freshet.ledger.room import MAX_BYTES
from freshet.ledger.versions import Versions
from freshet.registry.core.decider import RegistryDecider
from freshet.trust.pipeline_trust import PipelineTrust
from support import registry
from support.inference import PIPELINE, Worker, model, rollout, specification
from support.registry import World, candidate
from support.signed import KeyRing, demanding, signed, signed_epoch, signed_version

MANY = 1500
LONG = "x" * 10_000
"""So many records of this length are almost four times what may be kept."""


def forged(first: int = 1, lineage: str = LONG) -> Iterator[ModelVersion]:
    """Versions that nobody has signed, from that major number on."""
    known = model("6.6.6")
    for major in range(first, first + MANY):
        manifest = known.manifest.model_copy(update={"lineage": {"by": lineage, "at": str(major)}})
        changes = {"version": f"{major}.6.6", "manifest": manifest, "manifest_id": manifest_id(manifest)}
        yield known.model_copy(update=changes)


def kept(versions: Versions) -> int:
    """The bytes of all records that are kept."""
    overruled = [record for records in versions.overruled.values() for record in records]
    return sum(len(encode(record)) for record in [*versions.in_force(), *overruled])


def trusted(ring: KeyRing, *, demanded: bool = True) -> tuple[PipelineTrust, PipelineLedger]:
    """A ledger with a trust file; if `demanded` is False it does not know the specification yet."""
    trust = PipelineTrust(PIPELINE, ring.keys)
    if demanded:
        trust.follow(demanded=True, life="a1")
    return trust, PipelineLedger(PIPELINE, vouching=trust)


def tell(ledger: PipelineLedger, *records: ModelVersion) -> None:
    """Fold these."""
    for record in records:
        ledger.fold(Fact("models", f"{PIPELINE}/{record.version}", record))


def test_forged_versions_fill_no_worker() -> None:
    """What is signed is taken in after such a flood as before it, and the worker says what it did not keep."""
    ring = KeyRing()
    first, second = (signed_version(model(version), ring.builder) for version in ("1.0.0", "1.1.0"))
    found = Worker(keys=ring.keys).learn(demanding(specification()), first)
    found.learn(*forged(), signed_epoch(rollout(1, "1.0.0"), ring.release, first))
    found.settle()
    assert found.state.live_epoch == 1
    versions = found.logic._ledger.versions
    assert MAX_BYTES // 2 < kept(versions) <= MAX_BYTES + 10_000
    assert len(versions.admitted_as) == len(versions.records) == len(versions.states) < MANY // 2
    (told,) = found.state.warnings
    assert told.startswith(f"{MANY + 1 - len(versions.records):,} records of versions were not kept")
    found.learn(second, signed_epoch(rollout(2, "1.1.0"), ring.release, second))
    found.settle()
    assert found.state.live_epoch == 2


def test_a_flood_before_the_specification_is_bounded_when_that_comes() -> None:
    """Nobody can say before whether versions need signatures. The signed one lies behind it, and is kept."""
    ring = KeyRing()
    trust, ledger = trusted(ring, demanded=False)
    genuine = signed_version(model("1.0.0"), ring.builder)
    tell(ledger, *forged(), genuine)
    assert len(ledger.versions.records) == MANY + 1
    trust.follow(demanded=True, life="a1")
    ledger.reconsider()
    assert kept(ledger.versions) <= MAX_BYTES + 10_000
    assert ledger.versions.records["1.0.0"] == genuine
    assert ledger.doubted.dropped == MANY + 1 - len(ledger.versions.records)


def test_without_demands_all_versions_are_kept() -> None:
    """Whoever reads may have to find any of them."""
    trust, ledger = trusted(KeyRing(), demanded=False)
    tell(ledger, *forged())
    trust.follow(demanded=False, life="a1")
    ledger.reconsider()
    assert (len(ledger.versions.records), ledger.doubted.dropped) == (MANY, 0)


def test_a_signed_manifest_under_other_numbers_is_a_strangers() -> None:
    """A builder signs no number: anybody may repeat the record under others, or with another id of the manifest."""
    ring = KeyRing()
    _, ledger = trusted(ring)
    genuine = signed_version(model("1.0.0"), ring.builder)
    tell(ledger, genuine)
    for major in range(2, MANY):
        copied = genuine.model_copy(update={"version": f"{major}.0.0", "reason": LONG, "manifest_id": str(major)})
        tell(ledger, copied)
    assert kept(ledger.versions) <= MAX_BYTES + 10_000
    assert ledger.versions.records["1.0.0"] == genuine


@pytest.mark.parametrize("rising", [True, False], ids=["longer", "shorter"])
def test_one_version_written_over_again_and_again_fills_nothing(rising: bool) -> None:
    """By other artifacts in turn, with histories that grow or shrink, each under another manifest."""
    _, ledger = trusted(KeyRing())
    for at, record in enumerate(forged(lineage="")):
        digest = f"{at % 2}" * 64
        history = (Change(at_ms=0, what="w"),) * (at % 50 if rising else 50 - at % 50)
        manifest = record.manifest.model_copy(update={"digest": digest})
        tell(ledger, record.model_copy(update={"version": "6.6.6", "manifest": manifest, "history": history}))
    versions = ledger.versions
    assert (len(versions.records), len(versions.admitted_as), len(versions.judged)) == (1, 1, 1)
    assert versions.overruled == {}


def test_a_version_of_a_revoked_builder_is_kept() -> None:
    """It may be the one that answers."""
    ring = KeyRing()
    _, ledger = trusted(ring)
    ring.revoke(ring.builder)
    tell(ledger, *forged())
    genuine = signed_version(model("1.0.0"), ring.builder)
    tell(ledger, genuine)
    assert ledger.versions.records["1.0.0"] == genuine


def signing(ring: KeyRing) -> World:
    """A registry of a pipeline that demands signatures."""
    world = World()
    world.decider = RegistryDecider(ring.keys, ring.release)
    world.tell("pipelines", f"{PIPELINE}/1", demanding(registry.specification()))
    return world


def asking(name: str) -> Candidate:
    """A candidate of more than ten thousand bytes."""
    return candidate(name, lineage={"by": LONG})


def test_candidates_that_wait_to_be_refused_are_bounded() -> None:
    """Those that come first get their refusals, and make room; one that is signed is always taken."""
    ring = KeyRing()
    world = signing(ring)
    state = world.decider._pipelines.state(PIPELINE)
    for at in range(MANY // 2):
        world.publish(asking(str(at)))
    waiting = len(state.candidates)
    assert MAX_BYTES // 15_000 < waiting <= MAX_BYTES // 10_000
    world.publish(signed(asking("signed"), ring.builder))
    world.settle(2 * MANY)
    assert state.candidates == {}
    assert world.models()["1.0.0"].state == "admitted"
    world.publish(asking("late"))
    world.settle()
    digest = asking("late").manifest.digest
    assert world.models()[digest].reason.startswith("signature_missing: ")


def test_candidates_from_before_the_specification_are_bounded_when_that_comes() -> None:
    """The signed one is still there."""
    ring = KeyRing()
    world = World()
    world.decider = RegistryDecider(ring.keys, ring.release)
    for at in range(MANY // 2):
        world.publish(asking(str(at)))
    world.publish(signed(asking("signed"), ring.builder))
    state = world.decider._pipelines.state(PIPELINE)
    assert len(state.candidates) == MANY // 2 + 1
    world.tell("pipelines", f"{PIPELINE}/1", demanding(registry.specification()))
    assert len(state.candidates) <= MAX_BYTES // 10_000 + 1
    assert manifest_id(asking("signed").manifest) in state.candidates


def test_refusals_are_bounded_and_the_last_ones_are_known() -> None:
    """The registry writes one for each stranger's candidate; those it forgets it would write again."""
    ring = KeyRing()
    world = signing(ring)
    ledger = world.decider._pipelines.state(PIPELINE).ledger
    world.publish(candidate("a"))
    world.settle()
    world.publish(signed(candidate("a"), ring.builder))
    world.settle()
    first = manifest_id(candidate("a").manifest)
    assert (first in ledger.versions.refusals, ledger.versions.admitted_as[first]) == (True, "1.0.0")
    for at in range(2 * MANY):
        refused = model("").model_copy(
            update={"state": "refused", "reason": "x" * 1000, "manifest_id": f"{at:064x}", "candidate_offset": at}
        )
        world.decider.fold(Fact("models", f"{PIPELINE}/{at:064x}", refused))
    known = ledger.versions.refusals
    assert len(known) + 1 == len(ledger.versions.judged) <= MAX_BYTES // 2_000
    assert f"{2 * MANY - 1:064x}" in known
    assert f"{0:064x}" not in known
    assert first not in known
    assert ledger.versions.admitted_as[first] == "1.0.0"


def test_no_number_of_a_version_is_given_twice() -> None:
    """Where its record was not kept, or says nothing any more, the next number is above it."""
    ring = KeyRing()
    world = signing(ring)
    world.publish(signed(candidate("a"), ring.builder))
    world.settle()
    for record in forged(first=2):
        world.decider.fold(Fact("models", f"{PIPELINE}/{record.version}", record))
    world.decider.on_unreadable("models", f"{PIPELINE}/{MANY + 9}.0.0")
    world.publish(signed(candidate("b"), ring.builder))
    world.settle()
    given = [record.version for record in world.models().values()]
    assert given == ["1.0.0", f"{MANY + 10}.0.0"]


def test_a_version_whose_record_was_written_over_keeps_its_number() -> None:
    """A registry that starts anew finds another pipeline's record under its key."""
    ring = KeyRing()
    world = signing(ring)
    for name in ("a", "b"):
        world.publish(signed(candidate(name), ring.builder))
        world.settle()
    facts = [
        replace(fact, message=fact.message.model_copy(update={"pipeline": "loans"}))
        if fact.key == f"{PIPELINE}/1.1.0" and fact.message
        else fact
        for fact in world.log
    ]
    world.decider = RegistryDecider(ring.keys, ring.release)
    world.log = []
    for fact in facts:
        if fact.role != "candidates":
            world.decider.fold(fact)
    world.publish(signed(candidate("c"), ring.builder))
    world.settle()
    assert [*world.models()] == ["2.0.0"]
