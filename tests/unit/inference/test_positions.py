"""Where a partition stands in history: what it is answered under, when it waits, when it is cut."""

import pytest

from freshet.contracts.errors import FreshetError
from freshet.contracts.logic import Announce, Outcome
from freshet.inference.core.positions import ModelMissingError
from support.inference import (
    TOPIC_ID,
    Worker,
    answers,
    cuts,
    held,
    marks,
    model,
    of_kind,
    rollout,
    serving,
    specification,
    vectors,
)


def test_the_first_rows_are_cut_marked_and_answered() -> None:
    """A partition never answered goes to the live epoch with its first record, all in one batch of effects."""
    worker = serving(model("v1"), rollout(1, "v1"))
    effects = worker.answer(*vectors(0, 40, 2), *vectors(1, 90, 1))
    assert cuts(effects) == [(0, 40, 1, 0, "start"), (1, 90, 1, 0, "start")]
    assert marks(effects) == {0: "e=1 f=0", 1: "e=1 f=0"}
    assert [(a.partition, a.offset, a.version, a.epoch, a.fallback) for a in answers(effects)] == [
        (0, 40, "v1", 1, 0),
        (0, 41, "v1", 1, 0),
        (1, 90, "v1", 1, 0),
    ]
    announced = of_kind(effects, Announce)
    assert [effect.key for effect in announced] == [f"fraud/serve/{TOPIC_ID}/0/40", f"fraud/serve/{TOPIC_ID}/1/90"]


def test_a_partition_is_cut_once_per_epoch() -> None:
    """The second batch under the same position announces nothing, but marks the position again."""
    worker = serving(model("v1"), rollout(1, "v1"))
    worker.answer(*vectors(0, 0, 3))
    effects = worker.answer(*vectors(0, 3, 3))
    assert cuts(effects) == []
    assert marks(effects) == {0: "e=1 f=0"}


def test_a_rewound_partition_is_cut_again() -> None:
    """The transaction was refused: the committed metadata still says e=0, so the same cut is announced again."""
    worker = serving(model("v1"), rollout(1, "v1"))
    first = worker.answer(*vectors(0, 5, 2))
    worker.assign(p0="e=0 f=0")
    assert cuts(worker.answer(*vectors(0, 5, 1))) == cuts(first)


def test_a_newer_epoch_takes_over_once_it_is_loaded() -> None:
    """Until then the old one answers; a batch is never split between two."""
    worker = serving(model("v1"), model("v2"), rollout(1, "v1"), slow={"v2"})
    worker.answer(*vectors(0, 0, 2))
    worker.learn(rollout(2, "v2", resident=["v1"]))
    worker.settle()
    assert {a.version for a in answers(worker.answer(*vectors(0, 2, 2)))} == {"v1"}
    worker.finish()
    effects = worker.answer(*vectors(0, 4, 2))
    assert cuts(effects) == [(0, 4, 2, 0, "rollout")]
    assert {a.version for a in answers(effects)} == {"v2"}


def test_a_return_to_an_older_version_is_called_a_rollback() -> None:
    """A rollback is a new epoch that names an old version; epochs go forward all the same."""
    worker = serving(model("v1"), model("v2"), rollout(1, "v1"))
    worker.answer(*vectors(0, 0, 1))
    worker.learn(rollout(2, "v2", resident=["v1"]))
    worker.settle()
    worker.answer(*vectors(0, 1, 1))
    worker.learn(rollout(3, "v1", resident=["v2"]))
    assert cuts(worker.answer(*vectors(0, 2, 1))) == [(0, 2, 3, 0, "rollback")]
    worker.learn(rollout(4, "v1"))
    assert cuts(worker.answer(*vectors(0, 3, 1))) == [(0, 3, 4, 0, "rollout")]


def test_the_last_epoch_reached_answers_where_the_newest_cannot_be_loaded() -> None:
    """The last good model keeps serving: also partitions that come from further back, whose own model is gone."""
    worker = serving(model("v1"), model("v2"), rollout(1, "v1"), rollout(2, "v2"), slow={"v3"})
    worker.learn(model("v3"), rollout(3, "v3"))
    worker.settle()
    assert worker.state.resident == ("v2",)
    assert worker.assign(p4="e=1 f=0") == []
    assert cuts(worker.answer(*vectors(4, 7, 1))) == [(4, 7, 2, 0, "rollout")]


def test_a_partition_from_the_future_waits_until_this_worker_is_there() -> None:
    """Its last owner had loaded epoch 2; answering under 1 again would turn history back."""
    worker = serving(model("v1"), model("v2"), rollout(1, "v1"), slow={"v2"})
    assert worker.assign(p4="e=2 f=0") == [4]
    worker.tick()
    assert 4 in worker.waiting
    worker.learn(rollout(2, "v2"))
    worker.tick()
    worker.tick()
    assert 4 in worker.waiting
    worker.finish()
    worker.tick()
    assert 4 not in worker.waiting
    assert cuts(worker.answer(*vectors(4, 7, 1))) == []


def test_what_is_held_is_not_answered_until_it_is_released() -> None:
    """Its rows in a batch count as unread: no prediction, no dead letter, no mark; the other partitions go on."""
    worker = serving(model("v1"), rollout(1, "v1"))
    worker.assign(p4="e=9 f=0")
    effects = worker.answer(*vectors(0, 0, 2), *vectors(4, 0, 2))
    assert held(effects) == [4]
    assert marks(effects) == {0: "e=1 f=0"}
    assert {a.partition for a in answers(effects)} == {0}
    assert worker.answer(*vectors(4, 0, 2)) == [effects[0]]


def test_without_a_model_every_partition_waits() -> None:
    """No live epoch, or one with an empty table: records are not consumed, and the reason can be read."""
    worker = Worker()
    worker.learn(specification())
    assert worker.assign(p0="e=0 f=0") == [0]
    assert "no model" in worker.waits(0)
    assert worker.logic.unready() == worker.waits(0)
    worker.learn(model("v1"), rollout(1, "v1"))
    worker.settle()
    assert 0 not in worker.waiting
    worker.learn(rollout(2))
    assert held(worker.answer(*vectors(0, 0, 1))) == [0]


@pytest.mark.parametrize("metadata", ["", "e=1", "e=1 f=2", "anything"])
def test_metadata_that_is_not_ours_holds_the_partition_for_good(metadata: str) -> None:
    """Offsets were reset or written by another program: only a new assignment, after a person looked, goes on."""
    worker = serving(model("v1"), rollout(1, "v1"))
    assert worker.assign(p3=metadata) == [3]
    assert "freshet doctor" in worker.waits(3)
    worker.settle()
    assert 3 in worker.waiting
    assert "partition 3" in (worker.logic.unready() or "")
    assert worker.assign(p3="e=1 f=0") == []


def test_an_epoch_that_was_superseded_before_it_was_reached_is_never_entered() -> None:
    """Epoch 2 was rolled back by epoch 3. A new worker that happens to load v2 first must not answer with it."""
    worker = Worker(slow={"v1"})
    worker.learn(specification(), model("v1"), model("v2"), rollout(1, "v1"), rollout(2, "v2"))
    worker.learn(rollout(3, "v1", resident=["v2"]))
    worker.settle()
    worker.logic.on_job(Outcome(worker.started[0], error=FreshetError("artifact_missing: gone")))
    worker.settle()
    assert worker.state.resident == ("v2",)
    assert worker.assign(p0="e=1 f=0", p1="e=0 f=0", p2="e=2 f=0") == [0, 1]


def test_a_revoked_partition_is_forgotten() -> None:
    """It is another worker's: no state of it is reported, nothing is released for it."""
    worker = serving(model("v1"), rollout(1, "v1"))
    worker.assign(p4="e=9 f=0")
    worker.logic.on_revoke("features", 4)
    worker.tick()
    assert [state.partition for state in worker.state.partitions] == [0, 1]


def test_a_revoked_artifact_stops_answering_at_once() -> None:
    """The newest live record forbids it: even where that epoch cannot be answered yet, its partitions wait."""
    worker = serving(model("v1"), model("v2"), rollout(1, "v1"), slow={"v2"})
    worker.answer(*vectors(0, 0, 1))
    worker.learn(rollout(2, "v2", revoked=["v1"]))
    worker.settle()
    assert held(worker.answer(*vectors(0, 1, 1))) == [0]


@pytest.mark.parametrize("metadata", ["e=0 f=0", "e=1 f=0", "e=2 f=0"])
def test_leaves_a_partition_that_no_model_here_can_answer(metadata: str) -> None:
    """No understudy, and the load failed: after the wait another worker should try.

    What is being prepared meanwhile is no reason to stay.
    """
    worker = Worker(broken={"v2": "no_memory: 4 GB"}, slow={"v3"})
    worker.learn(specification(), *map(model, ("v1", "v2", "v3")), rollout(1, "v1"), rollout(2, "v2"))
    worker.learn(rollout(3, "v3", phase="prepare"))
    worker.settle()
    worker.assign(p0=metadata)
    worker.tick()
    worker.tick(29_999)
    with pytest.raises(ModelMissingError, match="no_memory: 4 GB"):
        worker.tick(1)


@pytest.mark.parametrize("metadata", ["e=0 f=0", "e=2 f=0", "e=3 f=0"])
def test_stays_while_a_load_may_still_succeed(metadata: str) -> None:
    """Starting anew would only begin the same load again; nor does leaving help against an epoch without a model."""
    worker = Worker(slow={"v1", "v2"}, broken={"v3": "no_memory: 4 GB"})
    worker.learn(specification(), *map(model, ("v1", "v2", "v3")), rollout(2, "v2"))
    worker.learn(rollout(3, "v3" if metadata == "e=2 f=0" else "v1", resident=["v2"]))
    worker.settle()
    worker.assign(p0=metadata)
    worker.tick()
    worker.tick(60_000)
    assert 0 in worker.waiting
    worker.learn(rollout(4))
    worker.tick(60_000)
    assert 0 in worker.waiting
