"""How a pipeline's models stand, from the records on the control topics."""

from freshet.cli.model.standing import Partition, Standing
from freshet.cli.times import clock_time
from freshet.contracts.logic import Fact
from freshet.contracts.messages import (
    Command,
    Cutover,
    Message,
    ModelState,
    ModelVersion,
    PartitionState,
    Rollout,
    Share,
    WorkerState,
)
from support.registry import candidate

NOW_MS = 1_000_000


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
    standing = Standing("p", facts, NOW_MS)
    assert standing.live is not None
    assert standing.live.epoch == 3
    parts = {version: standing.part_of(version) for version in ("1.0.0", "1.1.0", "1.2.0", "1.3.0")}
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
    standing = Standing("p", facts, NOW_MS)
    assert [(one.state.instance, one.alive) for one in standing.workers] == [("a", True), ("b", False), ("c", False)]
    assert standing.partitions() == [Partition(0, "a", 1, 0, "", "waits", None)]


def test_the_offset_is_that_of_the_cut_to_the_partitions_position() -> None:
    """Cut-overs of a topic that was deleted and made anew say nothing about the new one's offsets."""
    at = PartitionState(partition=0, epoch=1, fallback=0)
    facts = [
        cutover("old", 0, 900, 0),
        cutover("new", 0, 40, 1),
        cutover("new", 0, 70, 2, epoch=2),  # the worker's report is older than this
        worker("a", NOW_MS, at),
    ]
    (found,) = Standing("p", facts, NOW_MS).partitions()
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
    found = [(at.version, at.since_offset) for at in Standing("p", facts, NOW_MS).partitions()]
    assert found == [("1.0.0", 0), ("1.1.0", 7), ("1.0.1", None)]


def test_refusal_of_what_was_admitted_since_is_not_shown() -> None:
    """A candidate that was published again and judged anew has two records; other refusals stay."""
    one = candidate("m").manifest

    def record(key: str, version: str, manifest_id: str) -> Fact:
        state: ModelState = "admitted" if version else "refused"
        message = ModelVersion(
            pipeline="p", version=version, state=state, reason="", manifest=one, manifest_id=manifest_id
        )
        return Fact("models", key, message)

    facts = [record("p/x", "", "x"), record("p/y", "", "y"), record("p/1.0.0", "1.0.0", "x"), record("p/old", "", "")]
    shown = {(model.version, model.manifest_id) for model in Standing("p", facts, NOW_MS).models}
    assert shown == {("1.0.0", "x"), ("", "y"), ("", "")}


def test_an_epoch_says_who_asked_for_it() -> None:
    """By the command that its cause names, as it was first asked; any other cause stays as it is."""
    asked = Command(
        command_id="c-1", pipeline="p", action="pause", text="too many", expires_at_ms=NOW_MS, by="ada@desk"
    )
    again = asked.model_copy(update={"expires_at_ms": 0})
    facts = [Fact("commands", "p", message, at) for at, message in enumerate((asked, again), 1)]
    standing = Standing("p", facts, NOW_MS)
    epoch = rollout(2, "live", "1.0.0", cause="pause c-1").message
    assert isinstance(epoch, Rollout)
    assert standing.why(epoch) == f"pause by ada@desk at {clock_time(1)} (too many)"
    assert standing.why(epoch.model_copy(update={"cause": "candidate 7ab"})) == "candidate 7ab"
