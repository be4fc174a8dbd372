"""Somebody writes epochs without end: they fill no worker, and hide nothing that is signed."""

from collections.abc import Iterator

from freshet.avro.control import encode
from freshet.contracts.messages import Message, Rollout
from freshet.ledger.disbelieved import DisbelievedEpochs
from freshet.ledger.ledger import PipelineLedger
from freshet.ledger.room import MAX_BYTES
from freshet.trust.pipeline_trust import PipelineTrust
from support.inference import PIPELINE, Worker, model, rollout, specification
from support.signed import KeyRing, demanding, signed_epoch, signed_version


def forged(first: int, number: int, cause: str = "x" * 10_000) -> Iterator[Rollout]:
    """So many epochs that nobody has signed, from that number on."""
    known = rollout(first, "6.6.6").model_copy(update={"life": "a1", "cause": cause})
    return (known.model_copy(update={"epoch": first + at}) for at in range(number))


def epoch(ring: KeyRing, number: int, version: str) -> tuple[Message, Message]:
    """A version, and an epoch in which it answers, as builder and registry sign them."""
    made = signed_version(model(version), ring.builder)
    return made, signed_epoch(rollout(number, version), ring.release, made)


def kept(ledger: PipelineLedger) -> int:
    """The bytes of the records that are kept though they do not count."""
    return sum(len(encode(known.record)) for known in ledger.disbelieved)


def test_refused_epochs_fill_no_worker() -> None:
    """Almost four times as much as may be kept; the sentence says how many were not."""
    ring = KeyRing()
    found = Worker(keys=ring.keys).learn(demanding(specification()), *epoch(ring, 1, "1.0.0"))
    ledger = found.logic._ledger
    for record in forged(50, 1500):
        found.learn(record)
        assert len(ledger.disbelieved) <= MAX_BYTES // 10_000
    assert MAX_BYTES // 3 < kept(ledger) <= MAX_BYTES
    found.settle()
    (told,) = found.state.warnings
    assert told.startswith("epoch 1549 of ")
    assert told.endswith(
        f"{1500 - len(ledger.disbelieved):,} more were not kept: only a restart would judge them again."
    )
    assert found.state.live_epoch == 1
    found.learn(*epoch(ring, 2, "1.1.0"))
    found.settle()
    assert found.state.live_epoch == 2


def test_a_flood_before_the_specification_hides_no_signed_epoch() -> None:
    """A worker that starts may read strangers' epochs first, some with the numbers of the registry's."""
    ring = KeyRing()
    found = Worker(keys=ring.keys).learn(*epoch(ring, 1, "1.0.0"), *forged(1, 1500))
    assert kept(found.logic._ledger) <= MAX_BYTES
    found.learn(demanding(specification()))
    found.settle()
    assert found.state.live_epoch == 1


def test_a_worker_of_a_pipeline_without_signatures_still_finds_its_newest_epoch() -> None:
    """Until it knows the specification it can judge nothing; of a long history the newest part is enough for it."""
    ring = KeyRing()
    found = Worker(keys=ring.keys).learn(model("6.6.6"), *forged(1, 1500), specification())
    found.settle()
    assert found.state.live_epoch == 1500


def test_who_decides_forgets_nothing_of_a_history_that_may_count() -> None:
    """The registry must know which versions were ever tried, also where it reads the specification last."""
    ring = KeyRing()
    trust = PipelineTrust(PIPELINE, ring.keys)
    ledger, worker = PipelineLedger(PIPELINE, vouching=trust), PipelineLedger(PIPELINE, vouching=trust, whole=False)
    for told in (ledger, worker):
        for record in forged(1, 1500):
            told._consider(record, 0)
    assert (len(ledger.disbelieved), len(ledger.epochs.records)) == (1500, 0)
    assert kept(worker) <= MAX_BYTES
    trust.follow(demanded=False, life="a1")
    ledger.reconsider()
    assert (len(ledger.disbelieved), len(ledger.epochs.records)) == (0, 1500)


def test_a_deletion_forgets_what_was_dropped() -> None:
    """The next life begins with nothing."""
    known = DisbelievedEpochs(whole=True)
    known.dropped = 5
    known.clear()
    assert (known.dropped, len(known), known.above(0)) == (0, 0, None)
