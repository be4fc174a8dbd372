"""The interleavings that broke naive versions, each as it was found, with the rule that closes it."""

import numpy as np

from freshet.contracts.arrays import Floats32
from support.inference import (
    Worker,
    answers,
    cuts,
    dead,
    marks,
    model,
    rollout,
    serving,
    specification,
    vectors,
)


def sixty_percent_nan(rows: Floats32) -> Floats32:
    """A model that fails on most of what it sees."""
    scores = np.full((len(rows), 2), 0.5, np.float32)
    scores[: len(rows) * 6 // 10] = np.nan
    return scores


def test_a3_fallback_has_a_place_to_live() -> None:
    """p3 cuts to (7, 0) at 1000 and falls back at 1500; whoever takes p3 next, healthy v8 in memory, stays at (7, 1).

    Both cut-overs have keys of their own, so that compaction keeps both: 1000–1499 stay explained.
    """
    records = [model("v7"), model("v8"), rollout(6, "v7"), rollout(7, "v8", understudy="v7", resident=["v7", "v8"])]
    first = serving(*records)
    first.assign(p3="e=6 f=0")
    at_1000 = first.answer(*vectors(3, 1000, 500))
    first.scorers["v8"].mind = sixty_percent_nan
    at_1500 = first.answer(*vectors(3, 1500, 200))
    assert cuts(at_1000) + cuts(at_1500) == [(3, 1000, 7, 0, "rollout"), (3, 1500, 7, 1, "quarantine")]
    assert marks(at_1500) == {3: "e=7 f=1"}

    second = serving(*records)
    assert second.assign(p3=marks(at_1500)[3]) == []
    at_1700 = second.answer(*vectors(3, 1700, 5))
    assert cuts(at_1700) == []
    assert {(a.version, a.epoch, a.fallback) for a in answers(at_1700)} == {("v7", 7, 1)}


def test_a7_paused_for_ever() -> None:
    """p0 stands at epoch 8 and v9 cannot be loaded here: after the wait the understudy answers, as (8, 1), recorded.

    p1, which stands at epoch 7 and can be answered there, is not dragged into the fallback.
    """
    worker = Worker(broken={"v9": "artifact_missing: gone"})
    worker.learn(specification(), model("v7"), model("v9"), rollout(7, "v7"))
    worker.learn(rollout(8, "v9", understudy="v7", resident=["v7"]))
    worker.settle()
    assert worker.assign(p0="e=8 f=0", p1="e=7 f=0") == [0]
    worker.tick(50)
    assert 0 in worker.waiting
    worker.tick(29_999)
    assert 0 in worker.waiting
    worker.tick(1)
    assert 0 not in worker.waiting
    assert worker.assign(p0="e=8 f=0") == []
    effects = worker.answer(*vectors(0, 30, 2), *vectors(1, 60, 2))
    assert cuts(effects) == [(0, 30, 8, 1, "missing")]
    assert {(a.partition, a.version, a.epoch) for a in answers(effects)} == {(0, "v7", 8), (1, "v7", 7)}

    worker.broken.clear()
    worker.tick(60_000)
    effects = worker.answer(*vectors(0, 32, 1), *vectors(1, 62, 1))
    assert cuts(effects) == [(1, 62, 8, 0, "rollout")]


def test_a9_two_epochs_in_quick_succession() -> None:
    """6 → 7 → 8 within a second: p0 sees 7, p1 skips it; and the rollback to 6's version is no fetch.

    Epochs may be skipped per partition, never reversed.
    """
    worker = serving(*map(model, ("v6", "v7", "v8")), rollout(6, "v6"))
    worker.answer(*vectors(0, 0, 1), *vectors(1, 0, 1))
    worker.learn(rollout(7, "v7", resident=["v6", "v7"]))
    worker.settle()
    assert cuts(worker.answer(*vectors(0, 1, 1))) == [(0, 1, 7, 0, "rollout")]
    worker.learn(rollout(8, "v8", resident=["v6", "v7", "v8"]))
    worker.settle()
    both = worker.answer(*vectors(0, 2, 1), *vectors(1, 1, 1))
    assert cuts(both) == [(0, 2, 8, 0, "rollout"), (1, 1, 8, 0, "rollout")]
    loads = worker.loads
    worker.learn(rollout(9, "v6", resident=["v6", "v8"]))
    assert cuts(worker.answer(*vectors(0, 3, 1))) == [(0, 3, 9, 0, "rollback")]
    assert worker.loads == loads


def test_b4_the_bad_model_eats_no_good_events() -> None:
    """v9 gives NaN for 60 % of the rows: none is set aside, the understudy answers all of them in the same batch."""
    worker = serving(model("v8"), model("v9"), rollout(1, "v9", understudy="v8"), minds={"v9": sixty_percent_nan})
    effects = worker.answer(*vectors(0, 0, 100))
    assert dead(effects) == {}
    assert [(a.offset, a.version) for a in answers(effects)] == [(offset, "v8") for offset in range(100)]
    assert cuts(effects) == [(0, 0, 1, 1, "quarantine")]
