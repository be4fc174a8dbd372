"""A bad model never answers and eats no events: quarantine, fallback, and the understudy."""

import numpy as np
import pytest

from freshet.contracts.arrays import Floats32
from freshet.contracts.logic import DeadLetter, Hold
from freshet.models.model_error import ModelError
from support.inference import (
    Mind,
    Worker,
    answers,
    cuts,
    dead,
    held,
    marks,
    model,
    of_kind,
    rollout,
    serving,
    sound,
    vector,
    vectors,
)

BAD = 99.0


def poisoned(version: str) -> Mind:
    """Sound, but gives NaN for every row whose first feature is BAD."""

    def think(rows: Floats32) -> Floats32:
        scores = sound(version)(rows)
        scores[rows[:, 0] == BAD] = np.nan
        return scores

    return think


def failing(rows: Floats32) -> Floats32:
    """Cannot answer at all."""
    raise ModelError("model_exception", "division by zero in node 7.")


def misshapen(rows: Floats32) -> Floats32:
    """Answers one score too many."""
    return np.zeros((len(rows), 3), np.float32)


def _worker(mind: Mind, understudy: str = "v1") -> Worker:
    """v1 answers in epoch 1, then v2 with that mind in epoch 2."""
    worker = serving(model("v1"), rollout(1, "v1"), minds={"v2": mind})
    worker.answer(*vectors(0, 0, 3))
    worker.learn(model("v2"), rollout(2, "v2", understudy=understudy, resident=["v1", "v2"]))
    worker.settle()
    return worker


@pytest.mark.parametrize("mind", [failing, misshapen, lambda rows: np.full((len(rows), 2), np.inf, np.float32)])
def test_a_broken_version_is_answered_for_by_the_understudy_in_the_same_batch(mind: Mind) -> None:
    """One cut-over, straight to (2, 1), at the first row; nothing of the failed answer is seen."""
    worker = _worker(mind)
    effects = worker.answer(*vectors(0, 3, 6), *vectors(1, 70, 6))
    assert cuts(effects) == [(0, 3, 2, 1, "quarantine"), (1, 70, 2, 1, "quarantine")]
    assert marks(effects) == {0: "e=2 f=1", 1: "e=2 f=1"}
    assert {(a.version, a.epoch, a.fallback) for a in answers(effects)} == {("v1", 2, 1)}
    assert len(answers(effects)) == 12
    assert dead(effects) == {}
    worker.tick()
    assert worker.state.quarantined == ("v2",)


def test_few_failed_rows_are_set_aside_and_the_rest_is_answered() -> None:
    """Four of a thousand: those rows are the model's fault, each with a sentence, and the model goes on."""
    worker = _worker(poisoned("v2"))
    rows = vectors(0, 3, 1_000)
    for row in (0, 400, 401, 999):
        rows[row] = vector(0, 3 + row, [BAD, 1, 2])
    effects = worker.answer(*rows)
    assert dead(effects) == {"model_not_finite": [0, 400, 401, 999]}
    assert [letter.model_version for letter in of_kind(effects, DeadLetter)] == ["v2"]
    assert [a.offset for a in answers(effects)] == [3 + row for row in range(1_000) if row not in (0, 400, 401, 999)]
    assert marks(effects) == {0: "e=2 f=0"}


@pytest.mark.parametrize(("rows", "failed", "quarantined"), [(500, 5, False), (499, 5, True), (4, 4, False)])
def test_the_limit_is_one_percent_and_five_rows(rows: int, failed: int, quarantined: bool) -> None:
    """Exactly 1 % is still below; under five rows nothing can be said of a model."""
    worker = _worker(poisoned("v2"))
    batch = [vector(0, 3 + row, [BAD, 1, 2]) if row < failed else vector(0, 3 + row) for row in range(rows)]
    effects = worker.answer(*batch)
    assert cuts(effects)[0][3] == int(quarantined)
    assert len(dead(effects).get("model_not_finite", [])) == (0 if quarantined else failed)


def test_a_model_that_fails_row_by_row_under_light_load_is_found_out() -> None:
    """Batches of one row: the fifth failure in a row is one too many, though each batch is below five rows."""
    worker = _worker(poisoned("v2"))
    ends = [worker.answer(vector(0, 3 + row, [BAD, 1, 2])) for row in range(6)]
    assert [len(dead(effects)) for effects in ends] == [1, 1, 1, 1, 0, 0]
    assert cuts(ends[4]) == [(0, 7, 2, 1, "quarantine")]


def test_a_rebalance_elsewhere_does_not_forget_how_a_model_behaved() -> None:
    """Batches of four rows over many partitions, each assigned just before: the fifth failed row is one too many."""
    worker = _worker(lambda rows: np.full((len(rows), 2), np.nan, np.float32))
    aside = 0
    for turn in range(12):
        worker.logic.on_assign("features", turn, "e=2 f=0")
        aside += len(dead(worker.answer(*vectors(turn, 0, 4))).get("model_not_finite", []))
    assert aside == 4
    worker.tick()
    assert worker.state.quarantined == ("v2",)


def test_a_rebalance_of_the_same_partition_does_not_forget_either() -> None:
    """What is counted is rows, by their offsets, not calls: new rows of a partition count whatever went before."""
    worker = _worker(poisoned("v2"))
    ends = []
    for row in range(6):
        worker.assign(p0="e=2 f=0")
        ends.append(worker.answer(vector(0, 3 + row, [BAD, 1, 2])))
    assert [len(dead(effects)) for effects in ends] == [1, 1, 1, 1, 0, 0]


def test_rows_read_again_together_with_new_ones_count_as_what_they_are() -> None:
    """Four bad rows, refused and read again with two hundred good ones behind them: four failures, not eight."""
    worker = _worker(poisoned("v2"))
    bad = [vector(0, 3 + row, [BAD, 1, 2]) for row in range(4)]
    worker.answer(*bad)
    worker.assign(p0="e=2 f=0")
    assert dead(worker.answer(*bad, *vectors(0, 7, 200))) == {"model_not_finite": [0, 1, 2, 3]}


@pytest.mark.parametrize("reason", ["model_interrupted", "model_memory"])
def test_what_the_machine_may_have_done_to_a_model_is_tried_again(reason: str) -> None:
    """One bad moment of one worker would ban the version everywhere; a second failure in a row still does."""
    failures = [ModelError(reason, "once."), None, ModelError(reason, "again."), ModelError(reason, "and again.")]

    def moody(rows: Floats32) -> Floats32:
        failure = failures.pop(0)
        if failure:
            raise failure
        return sound("v2")(rows)

    worker = _worker(moody)
    assert {answer.version for answer in answers(worker.answer(*vectors(0, 3, 6)))} == {"v2"}
    assert cuts(worker.answer(*vectors(0, 9, 6))) == [(0, 9, 2, 1, "quarantine")]
    assert failures == []


def test_rows_read_again_are_not_counted_twice() -> None:
    """A batch that is refused and read five times holds one failed row, not five."""
    worker = _worker(poisoned("v2"))
    for _ in range(6):
        worker.assign(p0="e=2 f=0")
        effects = worker.answer(vector(0, 3, [BAD, 1, 2]))
    assert dead(effects) == {"model_not_finite": [0]}


def test_a_partition_at_a_quarantined_version_moves_at_its_next_batch() -> None:
    """The quarantine is this process's; the position is the partition's: both survive a rewind."""
    worker = _worker(failing)
    worker.answer(*vectors(0, 3, 5))
    worker.assign(p5="e=2 f=0")
    assert cuts(worker.answer(*vectors(5, 0, 1))) == [(5, 0, 2, 1, "quarantine")]


def test_fallback_is_only_left_by_a_new_epoch() -> None:
    """(2, 1) never goes back to (2, 0), even on a worker where v2 never failed."""
    worker = _worker(sound("v2"))
    worker.assign(p0="e=2 f=1")
    effects = worker.answer(*vectors(0, 3, 2))
    assert cuts(effects) == []
    assert {(a.version, a.fallback) for a in answers(effects)} == {("v1", 1)}
    worker.learn(rollout(3, "v2"))
    assert cuts(worker.answer(*vectors(0, 5, 1))) == [(0, 5, 3, 0, "rollout")]


def test_without_an_understudy_the_last_good_epoch_goes_on() -> None:
    """Nothing of epoch 2 was published for p0, so it stays under 1; p1 was never answered and waits."""
    worker = _worker(failing, understudy="")
    worker.assign(p1="e=2 f=0")
    effects = worker.answer(*vectors(0, 3, 5), *vectors(1, 0, 5))
    assert {(a.partition, a.version, a.epoch) for a in answers(effects)} == {(0, "v1", 1)}
    (hold,) = of_kind(effects, Hold)
    assert hold.partition == 1
    assert "division by zero" in hold.reason
    assert "no understudy" in hold.reason
    assert marks(effects) == {0: "e=1 f=0"}


def test_an_understudy_that_fails_too_holds_the_partition() -> None:
    """Never answer with a bad model: nothing is published or set aside, not even the rows that were unreadable."""
    worker = serving(
        model("v1"), model("v2"), rollout(1, "v2", understudy="v1"), minds={"v1": failing, "v2": misshapen}
    )
    rows = vectors(0, 0, 5)
    broken = vector(0, 5)
    effects = worker.answer(*rows, type(broken)(0, 5, b"junk"))
    assert held(effects) == [0]
    assert len(effects) == 1
    worker.tick()
    assert worker.state.quarantined == ("v1", "v2")
    assert worker.state.partitions[0].held
    worker.learn(model("v3"), rollout(2, "v3"))
    worker.settle()
    assert 0 not in worker.waiting


def test_an_understudy_that_is_not_loaded_holds_the_partition_until_it_is() -> None:
    """The champion of epoch 2 is quarantined, its understudy is still being fetched."""
    worker = serving(model("v1"), model("v2"), rollout(1, "v2", understudy="v1"), minds={"v2": failing}, slow={"v1"})
    assert held(worker.answer(*vectors(0, 0, 5))) == [0]
    worker.tick()
    assert 0 in worker.waiting
    worker.finish()
    worker.tick()
    assert 0 not in worker.waiting
    assert cuts(worker.answer(*vectors(0, 0, 5))) == [(0, 0, 1, 1, "quarantine")]


def test_a_quarantine_is_waited_out() -> None:
    """Its understudy cannot be loaded; but a worker that left would forget the quarantine and answer with v2 again."""
    broken = {"v1": "artifact_missing: gone"}
    worker = serving(model("v1"), model("v2"), rollout(1, "v2", understudy="v1"), minds={"v2": failing}, broken=broken)
    assert held(worker.answer(*vectors(0, 0, 5))) == [0]
    worker.tick()
    worker.tick(60_000)
    assert 0 in worker.waiting


def test_a_quarantined_version_is_not_loaded_again() -> None:
    """It was evicted, and a later epoch keeps it resident: memory for what may never answer here."""
    worker = _worker(failing)
    worker.answer(*vectors(0, 3, 5))
    worker.learn(rollout(3, "v1"))
    worker.settle()
    worker.learn(rollout(4, "v1", resident=["v1", "v2"]))
    worker.settle()
    assert worker.loads == ["v1", "v2"]


def test_a_prepare_of_a_quarantined_version_is_refused() -> None:
    """The registry must learn that this worker will not answer with it."""
    worker = _worker(failing)
    worker.answer(*vectors(0, 3, 5))
    worker.learn(rollout(3, "v2", phase="prepare"))
    worker.settle()
    assert worker.state.prepared[-1].verdict == "quarantined"
    assert "division by zero" in worker.state.prepared[-1].detail
