"""Where partitions are in history, from the records on the control topics."""

from collections.abc import Iterable

from freshet.contracts.logic import Fact
from freshet.contracts.messages import (
    Cutover,
    Message,
    PartitionState,
    Rollout,
    Share,
    WorkerState,
)
from freshet.ledger.held_partitions import HeldPartition, held_partitions
from freshet.ledger.ledger import PipelineLedger

NOW_MS = 1_000_000


def folded(facts: Iterable[Fact]) -> PipelineLedger:
    """What these facts say of pipeline p."""
    ledger = PipelineLedger("p")
    for fact in facts:
        ledger.fold(fact)
    return ledger


def rollout(epoch: int, phase: str, version: str, **but: object) -> Fact:
    message = Rollout(
        pipeline="p",
        epoch=epoch,
        phase=phase,  # type: ignore[arg-type]
        table=(Share(version=version, share=10_000),),
        salt="s",
        cause="test",
    ).model_copy(update=but)
    return Fact("rollouts", f"p/{epoch}", message)


def worker(instance: str, beat_ms: int, *partitions: PartitionState, **but: object) -> Fact:
    message = WorkerState(
        instance=instance, service="inference", pipeline="p", interval_ms=1000, partitions=partitions
    ).model_copy(update=but)
    return Fact("workers", instance, message, beat_ms)


def cutover(topic_id: str, partition: int, first_offset: int, offset: int, epoch: int = 1) -> Fact:
    message: Message = Cutover(
        pipeline="p",
        lane="serve",
        topic_id=topic_id,
        partition=partition,
        first_offset=first_offset,
        epoch=epoch,
        fallback=0,
        cause="t",
    )
    return Fact("cutovers", f"{topic_id}/{partition}/{first_offset}", message, 0, offset)


def test_the_highest_live_epoch_answers_and_aborted_ones_do_not_count() -> None:
    """A key that moved from prepare to live or aborted counts as what it became."""
    facts = [
        rollout(1, "live", "1.0.0"),
        rollout(2, "prepare", "1.1.0"),
        rollout(2, "aborted", "1.1.0"),
        rollout(3, "prepare", "1.2.0"),
        rollout(4, "prepare", "1.3.0"),
        rollout(3, "live", "1.2.0", understudies={"1.2.0": "1.0.0"}),
    ]
    ledger = folded(facts)
    assert ledger.epochs.live_epoch == 3
    parts = {version: ledger.part_of(version) for version in ("1.0.0", "1.1.0", "1.2.0", "1.3.0")}
    assert parts == {"1.0.0": "understudy", "1.1.0": "", "1.2.0": "answers", "1.3.0": "prepared"}


def test_partitions_are_those_of_workers_that_beat() -> None:
    """A worker that is silent for three beats, or has said goodbye, holds nothing any more; ingestion has no models."""
    held = PartitionState(partition=0, epoch=1, fallback=0, held="waits")
    facts = [
        worker("a", NOW_MS - 3000, held),
        worker("b", NOW_MS - 3001, held),
        worker("c", NOW_MS, held, leaving=True),
        worker("d", NOW_MS, held, pipeline="other"),
        worker("e", NOW_MS, held, service="ingestion"),
    ]
    ledger = folded(facts)
    states = [(key, beat.state(NOW_MS)) for key, beat in ledger.workers.of("inference")]
    assert states == [("a", "serving"), ("b", "silent"), ("c", "leaving")]
    assert held_partitions(ledger, NOW_MS) == [HeldPartition(0, "a", 1, 0, "", "waits", None)]


def test_the_offset_is_that_of_the_cut_to_the_partitions_position() -> None:
    """Cut-overs of a topic that was deleted and made anew say nothing about the new one's offsets."""
    at = PartitionState(partition=0, epoch=1, fallback=0)
    facts = [
        cutover("old", 0, 900, 0),
        cutover("new", 0, 40, 1),
        cutover("new", 0, 70, 2, epoch=2),  # the worker's report is older than this
        worker("a", NOW_MS, at),
    ]
    (found,) = held_partitions(folded(facts), NOW_MS)
    assert found.since_offset == 40


def test_each_partition_says_which_version_answers_it() -> None:
    """By its own epoch, which it leaves at its next record; at the fallback it is the understudy."""
    held = [PartitionState(partition=at, epoch=1 + (at > 0), fallback=int(at == 2)) for at in range(3)]
    facts = [
        rollout(1, "live", "1.0.0"),
        rollout(2, "live", "1.1.0", understudies={"1.1.0": "1.0.1"}),
        cutover("new", 0, 0, 1),
        cutover("new", 1, 7, 2, epoch=2),
        worker("a", NOW_MS, *held),
    ]
    found = [(at.version, at.since_offset) for at in held_partitions(folded(facts), NOW_MS)]
    assert found == [("1.0.0", 0), ("1.1.0", 7), ("1.0.1", None)]
