"""What the judge says of signatures that it cannot judge, and of pipelines that demand none."""

from freshet.contracts.logic import Fact
from freshet.contracts.messages import PipelineRecord
from freshet.ledger.ledger import PipelineLedger
from freshet.operate.verify.control_history import demand_of
from freshet.operate.verify.evidence import Demand, Evidence
from freshet.operate.verify.findings import Judgement
from freshet.operate.verify.judge import judge
from freshet.operate.verify.judgement import sentence
from freshet.operate.verify.signatures import EPOCHS, VERSIONS, unasked
from freshet.trust.trusted_keys import TrustedKeys
from support.evidence import NEW, OLD, RING, good, ledger, rollout
from support.inference import specification
from support.signed import KeyRing


def unsigned(evidence: Evidence, *epochs: int) -> Evidence:
    """These epochs bear no signature."""
    records = evidence.history.ledger.epochs.records
    for epoch in epochs:
        records[epoch] = records[epoch].model_copy(update={"signatures": {}})
    return evidence


def looked_at(judgement: Judgement) -> dict[str, int]:
    """How much the checks of signatures looked at."""
    return {one.check: one.looked_at for one in judgement.findings if one.check in (EPOCHS, VERSIONS)}


def told(judgement: Judgement) -> list[tuple[str, int, str]]:
    """What was not judged."""
    return [(one.role, one.count, one.why) for one in judgement.unjudged]


def test_a_signed_pipeline_is_found_good() -> None:
    """Five cut-overs to two epochs, and two versions that answer."""
    judgement = judge(good())
    assert judgement.ok
    assert looked_at(judgement) == {EPOCHS: 5, VERSIONS: 2}
    assert told(judgement) == []


def test_without_a_trust_file_the_verdict_says_that_signatures_were_not_judged() -> None:
    """Unsigned as they may be: nothing is broken, and nothing is called kept that nobody looked at."""
    evidence = unsigned(good(), 1, 2)
    evidence.history.demand = Demand("a1", None)
    judgement = judge(evidence)
    assert judgement.ok
    assert looked_at(judgement) == {}
    said = (
        "; 5 records could not be judged (rollouts: 5 cut-overs whose signatures were not judged, since no trust file"
    )
    assert said in sentence(judgement)


def test_of_a_pipeline_without_demands_nothing_is_said_of_signatures() -> None:
    """Neither a check nor a count."""
    evidence = unsigned(good(), 1, 2)
    evidence.history.demand = None
    judgement = judge(evidence)
    assert (judgement.ok, looked_at(judgement), told(judgement)) == (True, {}, [])
    assert unasked(evidence.history, None) == ()


def test_whoever_gives_a_trust_file_to_a_pipeline_without_demands_is_told_that_it_was_not_used() -> None:
    """Else all that is green would seem to be signed."""
    history = good().history
    assert unasked(history, RING.now) == ()
    history.demand = None
    (said,) = unasked(history, RING.now)
    assert said.startswith("No signature was judged, though a trust file was given")


def test_epochs_from_before_the_demand_need_no_signature() -> None:
    """As long as a specification tells that there was such a time; else the first epoch is a breach like any other."""
    evidence = unsigned(good(), 1)
    assert not judge(evidence).ok
    evidence.history.demand = Demand("a1", RING.now, later=True)
    judgement = judge(evidence)
    assert judgement.ok
    assert looked_at(judgement) == {EPOCHS: 3, VERSIONS: 2}
    ((role, count, why),) = told(judgement)
    assert (role, count) == ("rollouts", 2)
    assert why.startswith("cut-overs to epochs below the first signed one")


def test_an_unsigned_epoch_above_a_signed_one_is_a_breach_whenever_the_demand_began() -> None:
    """Epoch 1 is signed, so nobody may go on without."""
    evidence = unsigned(good(), 2)
    evidence.history.demand = Demand("a1", RING.now, later=True)
    (broken,) = [one for one in judge(evidence).findings if not one.ok]
    assert (broken.check, broken.breaches) == (EPOCHS, 3)


def test_what_a_revoked_key_signed_is_counted_and_not_judged() -> None:
    """It may well have been before."""
    ring = KeyRing()
    evidence = good()
    evidence.history.ledger = ledger(
        rollout(1, OLD), rollout(2, NEW, understudy=OLD), builder=ring.builder, release=ring.release
    )
    ring.revoke(ring.builder)
    ring.revoke(ring.release)
    evidence.history.demand = Demand("a1", ring.now)
    judgement = judge(evidence)
    assert judgement.ok
    assert looked_at(judgement) == {EPOCHS: 0, VERSIONS: 0}
    assert [(role, count) for role, count, _ in told(judgement)] == [("rollouts", 5), ("models", 2)]


def asked(*specs: PipelineRecord, keys: TrustedKeys | None = None) -> Demand | None:
    """What these specifications demand."""
    known = PipelineLedger(specs[0].pipeline)
    for at, spec in enumerate(specs, 1):
        known.fold(Fact("pipelines", "", spec.model_copy(update={"number": at})))
    return demand_of(known, keys)


def test_the_newest_specification_or_the_trust_file_demands() -> None:
    """And whether there was a time before."""
    plain, ring = specification(), KeyRing()
    signed = plain.model_copy(update={"spec": f"{plain.spec}\ntrust: required\n", "life": "a1"})
    assert asked(plain) is None
    assert asked(signed, plain) is None
    assert asked(signed) == Demand("a1", None)
    assert asked(plain, signed, keys=ring.now) == Demand("a1", ring.now, later=True)
    named = TrustedKeys(ring.now.keys, frozenset({plain.pipeline}))
    assert asked(plain, keys=named) == Demand("", named, later=True)
