"""The fold of rollouts and models: which epoch is live, what it takes, and what happens when somebody decided twice."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from freshet.contracts.logic import Fact
from freshet.contracts.messages import Rollout
from freshet.inference.core.history import History
from support.inference import PIPELINE, Worker, model, rollout, specification


def _history(*records: Rollout) -> History:
    history = History(PIPELINE)
    for record in records:
        history.fold_rollout(record)
    return history


def test_the_live_epoch_is_the_highest_in_phase_live() -> None:
    """An aborted number above it, and an open prepare, do not count; order of arrival does not matter."""
    history = _history(
        rollout(3, "v3"), rollout(5, "v5", phase="aborted"), rollout(2, "v2"), rollout(6, "v6", phase="prepare")
    )
    assert history.live == rollout(3, "v3")
    assert history.was_live(2) == rollout(2, "v2")
    assert history.was_live(5) is None
    assert history.was_live(6) is None


def test_the_same_key_moves_from_prepare_to_live() -> None:
    """A prepare that becomes live is one epoch, without an alarm; read again, its prepare changes nothing."""
    prepare, live = rollout(4, "v4", phase="prepare"), rollout(4, "v4")
    history = _history(prepare, live, live, prepare)
    assert history.live == live
    assert history.alarm is None


@pytest.mark.parametrize(
    "records",
    [
        [rollout(7, "v8"), rollout(7, "v5")],
        [rollout(7, "v8"), rollout(7, "v5", phase="aborted")],
        [rollout(7, "v8"), rollout(7, "v8", phase="aborted")],
        [rollout(7, "v7", phase="aborted"), rollout(7, "v7")],
        [rollout(7, "v8"), rollout(7, "v5", phase="prepare")],
    ],
)
def test_an_epoch_that_was_issued_twice_is_the_same_to_all_workers_and_a_person_is_told(records: list[Rollout]) -> None:
    """Compaction keeps the last record of a number, so whoever saw both must believe what a late starter sees."""
    witness = _history(rollout(6, "v6"), *records)
    late = _history(rollout(6, "v6"), records[-1])
    assert witness.live == late.live
    assert witness.asked() == late.asked()
    assert witness.was_live(7) == late.was_live(7)
    assert witness.alarm is not None
    assert "epoch 7" in witness.alarm


def test_a_forked_history_is_noticed_by_the_previous_digest() -> None:
    """The same table on top of another previous epoch is another decision."""
    history = _history(rollout(7, "v8"), rollout(7, "v8").model_copy(update={"previous_digest": "other"}))
    assert history.alarm is not None


def test_who_answers_is_wanted_first_and_live_before_prepare() -> None:
    """Loading order: champion, understudy, resident of the live epoch, then the same of the open prepare."""
    history = _history(
        rollout(2, "v2", understudy="v1", resident=["v0", "v2"]),
        rollout(3, "v3", understudy="v2", resident=["v9"], phase="prepare"),
    )
    assert history.wanted() == ["v2", "v1", "v0", "v3", "v9"]


def test_a_prepare_below_the_live_epoch_asks_for_nothing() -> None:
    """It was overtaken: nobody waits for it."""
    assert _history(rollout(2, "v2", phase="prepare"), rollout(3, "v3")).wanted() == ["v3"]


def test_a_table_of_several_versions_is_not_loaded_but_not_evicted_either() -> None:
    """This release cannot serve it; a newer one beside it may, and a rollback may want its versions."""
    history = _history(rollout(2, ["v1", "v2"], resident=["v1"]))
    assert history.wanted() == []
    assert history.listed() == {"v1", "v2"}


def test_a_revoked_artifact_is_not_wanted() -> None:
    """The newest live record forbids artifacts by digest, under whatever version they run."""
    history = _history(rollout(2, "v2", resident=["v1"], revoked=["v1"]))
    history.fold_model(model("v1"))
    history.fold_model(model("v2"))
    assert history.wanted() == ["v2"]


def test_a_version_with_another_artifact_keeps_the_first_and_alarms() -> None:
    """A version number is given once; its later states are folded, another artifact under it is not."""
    history = _history()
    history.fold_model(model("v1"))
    history.fold_model(model("v1").model_copy(update={"state": "retired"}))
    assert history.alarm is None
    history.fold_model(model("v1", digest_of="other"))
    kept = history.model("v1")
    assert kept is not None
    assert kept.manifest == model("v1").manifest
    assert history.alarm is not None


def test_other_pipelines_are_none_of_ours() -> None:
    """Control topics are global: records of other pipelines change nothing."""
    history = _history(rollout(9, "v9").model_copy(update={"pipeline": "other"}))
    history.fold_model(model("v9").model_copy(update={"pipeline": "other"}))
    assert history.live is None
    assert history.model("v9") is None


@pytest.mark.parametrize(
    ("epochs", "returns"),
    [(["v1", "v2", "v1"], True), (["v1", "v2", "v3"], False), (["v1", "v2", "v2"], False), (["v2", "v1"], False)],
)
def test_an_epoch_goes_back_if_its_champion_led_before_the_one_that_it_follows(
    epochs: list[str], returns: bool
) -> None:
    """The last epoch against the one before it: a rollback is told from a rollout by who served when."""
    history = _history(*(rollout(number, version) for number, version in enumerate(epochs, 1)))
    assert history.is_return(len(epochs), since=len(epochs) - 1) is returns


def test_the_length_of_history_costs_nothing_at_any_turn() -> None:
    """A fold and a tick execute about as many instructions after 300 epochs as after 30.

    About, because libraries fill caches of their own now and then: one pass over the epochs would double the count.
    """
    short, long = _experienced(30), _experienced(300)
    for phase in ("prepare", "live"):
        costs = [
            _instructions(lambda: _turn(worker, rollout(301, "v1", phase=phase, understudy="v2")))  # noqa: B023
            for worker in (short, long)
        ]
        assert costs[1] < costs[0] * 1.2


def _experienced(epochs: int) -> Worker:
    """A worker that learned this many epochs, of two versions in turn."""
    worker = Worker().learn(specification(), model("v1"), model("v2"))
    for epoch in range(1, epochs + 1):
        for phase in ("prepare", "live"):
            worker.learn(rollout(epoch, f"v{1 + epoch % 2}", phase=phase, understudy=f"v{2 - epoch % 2}"))
    worker.settle()
    worker.assign(p0="e=1 f=0")
    return worker


def _turn(worker: Worker, record: Rollout) -> None:
    worker.logic.fold(Fact("", "", record))
    worker.tick()


def _instructions(work: Callable[[], object]) -> int:
    """How many bytecode instructions this work takes: a measure of cost that no busy machine disturbs."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count
