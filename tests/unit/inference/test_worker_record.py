"""What an inference worker tells of its own part."""

from freshet.contracts.messages import PartitionState
from freshet.contracts.worker import WorkerReport
from support.inference import Worker, model, rollout, serving, specification, vectors


def test_the_report_is_all_of_its_part() -> None:
    """There are no acknowledgements: who reads the last record knows all."""
    worker = serving(model("v1"), model("v2"), rollout(1, "v1", resident=["v1"]), rollout(2, "v2", phase="prepare"))
    worker.answer(*vectors(0, 0, 1))
    worker.assign(p4="e=9 f=0")
    worker.tick()
    waits = "it was answered under epoch 9, which is not known here yet."
    assert worker.state == WorkerReport(
        live_epoch=1,
        prepared=worker.state.prepared,
        resident=("v1", "v2"),
        partitions=(
            PartitionState(partition=0, epoch=1, fallback=0),
            PartitionState(partition=1, epoch=0, fallback=0),
            PartitionState(partition=4, epoch=9, fallback=0, held=waits),
        ),
    )
    assert [(prepared.epoch, prepared.verdict) for prepared in worker.state.prepared] == [(1, "ok"), (2, "ok")]


def test_unready_says_what_is_missing_until_nothing_is() -> None:
    """Specification, live epoch, its model: in the order in which a person provides them."""
    worker = Worker(slow={"v1"})
    assert "freshet apply" in (worker.logic.unready() or "")
    worker.learn(specification())
    assert "no epoch is live" in (worker.logic.unready() or "")
    worker.learn(model("v1"), rollout(1, "v1"))
    worker.settle()
    assert "v1 is not loaded yet" in (worker.logic.unready() or "")
    worker.finish()
    assert worker.logic.unready() is None


def test_a_specification_that_cannot_be_read_is_said_and_the_old_one_stays() -> None:
    """A newer Freshet wrote it, or a stranger: serving goes on with what is known."""
    worker = serving(model("v1"), rollout(1, "v1"))
    worker.learn(specification(number=2).model_copy(update={"spec": "pipeline: [", "number": 2}))
    assert "specification 2" in (worker.logic.unready() or "")
    assert len(worker.answer(*vectors(0, 0, 1))) == 3
    worker.learn(specification(number=1))
    assert worker.logic.unready() is not None
    worker.learn(specification(number=3))
    assert worker.logic.unready() is None


def test_an_alarm_makes_the_worker_unready() -> None:
    """One epoch number with two tables: the last answers, as at any worker that starts now, and a person must look."""
    worker = serving(model("v1"), model("v2"), rollout(1, "v1"))
    worker.learn(rollout(1, "v2"))
    worker.settle()
    assert "Two registries" in (worker.logic.unready() or "")
    assert len(worker.answer(*vectors(0, 0, 1))) == 3
