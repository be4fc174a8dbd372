"""Which models a worker loads and drops, when, and what it says when it cannot."""

from freshet.contracts.errors import FreshetError
from freshet.contracts.logic import Outcome
from freshet.inference.core.model_jobs import LoadModel, RetireModel
from support.inference import FEATURES, Worker, cuts, model, rollout, serving, specification, vectors


def test_loads_one_model_at_a_time_the_most_urgent_first() -> None:
    """Memory peaks once: the next load starts when the one before has ended."""
    worker = Worker(slow={"v2", "v1"})
    worker.learn(specification(), model("v1"), model("v2"), rollout(1, "v2", understudy="v1"))
    worker.tick()
    worker.tick()
    assert worker.loads == ["v2"]
    first = worker.started[0]
    assert isinstance(first, LoadModel)
    assert (first.manifest, first.batch_rows) == (model("v2").manifest, 5_000)
    worker.logic.on_job(Outcome(first, error=FreshetError("artifact_missing: gone")))
    worker.tick()
    assert worker.loads == ["v2", "v1"]


def test_a_failed_load_is_tried_again_after_a_pause_that_doubles() -> None:
    """1 s, 2 s, 4 s: a broker that is away must not be asked without end."""
    worker = Worker(broken={"v1": "artifact_unreachable: the broker is away"})
    worker.learn(specification(), model("v1"), rollout(1, "v1"))
    for after_ms, attempts in ((0, 1), (999, 1), (1, 2), (1_999, 2), (1, 3), (3_999, 3), (1, 4)):
        worker.tick(after_ms)
        assert len(worker.loads) == attempts


def test_a_failed_load_is_the_verdict_on_every_epoch_that_needs_it() -> None:
    """The registry sees the reason code and the sentence, and that nothing of the epoch is live here."""
    worker = Worker(broken={"v2": "golden_mismatch: row 3 differs by 0.2."})
    worker.learn(specification(), model("v1"), model("v2"), rollout(1, "v1"), rollout(2, "v2", phase="prepare"))
    worker.settle()
    live, prepare = worker.state.prepared
    assert (live.epoch, live.verdict, live.load_ms, live.p99_us) == (1, "ok", 3, 40)
    assert (prepare.epoch, prepare.verdict, prepare.detail) == (2, "golden_mismatch", "v2: row 3 differs by 0.2.")
    assert worker.state.live_epoch == 1


def test_no_verdict_until_all_versions_of_the_epoch_are_loaded() -> None:
    """Table, understudy and resident versions: a rollback must find its target in memory."""
    worker = Worker(slow={"v0"})
    worker.learn(*map(model, ("v0", "v1", "v2")), specification())
    worker.learn(rollout(1, "v2", understudy="v1", resident=["v0"], phase="prepare"))
    worker.settle()
    assert worker.state.resident == ("v1", "v2")
    assert worker.state.prepared == ()


def test_a_new_prepare_does_not_inherit_an_old_failure() -> None:
    """Aborted, repaired, promoted again: the verdict is that of a new attempt, not of the one before the repair."""
    worker = Worker(broken={"v2": "artifact_missing: gone"})
    worker.learn(specification(), model("v2"), rollout(1, "v2", phase="prepare"))
    worker.settle()
    assert worker.state.prepared[0].verdict == "artifact_missing"
    worker.broken.clear()
    worker.learn(rollout(1, "v2", phase="aborted"), rollout(2, "v2", phase="prepare"))
    worker.settle()
    assert [(prepared.epoch, prepared.verdict) for prepared in worker.state.prepared] == [(2, "ok")]


def test_a_table_of_several_versions_is_refused_cleanly() -> None:
    """The epoch is not answered here, says why, and what answered before goes on."""
    worker = serving(model("v1"), model("v2"), rollout(1, "v1"))
    worker.answer(*vectors(0, 0, 1))
    worker.learn(rollout(2, ["v1", "v2"]))
    worker.settle()
    assert [(prepared.epoch, prepared.verdict) for prepared in worker.state.prepared] == [(2, "table_unsupported")]
    assert cuts(worker.answer(*vectors(0, 1, 1))) == []
    assert "several versions" in (worker.logic.unready() or "")


def test_evicts_only_what_no_live_or_prepare_record_lists() -> None:
    """And through a job: closing a session takes time that the loop does not have."""
    worker = serving(*map(model, ("v1", "v2", "v3")), rollout(1, "v1"))
    worker.learn(rollout(2, "v2", resident=["v1"]), rollout(3, "v3", phase="prepare"))
    worker.settle()
    assert worker.state.resident == ("v1", "v2", "v3")
    worker.learn(rollout(3, "v3", phase="aborted"), rollout(4, "v2"))
    worker.settle()
    assert set(worker.state.resident) == {"v2"}
    retired = [job.version for job in worker.started if isinstance(job, RetireModel)]
    assert retired == ["v1", "v3"]
    assert worker.scorers["v1"].closed


def test_nothing_is_evicted_until_the_newest_epoch_can_be_answered() -> None:
    """The model of an epoch that no record lists any more may be the last one that answers anything."""
    worker = serving(model("v1"), model("v2"), rollout(1, "v1"), broken={"v2": "artifact_missing: gone"})
    worker.answer(*vectors(0, 0, 1))
    worker.learn(rollout(2, "v2"))
    worker.settle()
    assert worker.state.resident == ("v1",)
    assert cuts(worker.answer(*vectors(0, 1, 1))) == []


def test_a_model_whose_inputs_no_specification_names_waits_for_it() -> None:
    """Pipelines and rollouts are two topics: a model may be known before the columns it reads."""
    worker = Worker()
    worker.learn(specification(), model("v1", inputs=(*FEATURES, "new")), rollout(1, "v1"))
    worker.settle()
    worker.assign(p0="e=0 f=0")
    assert worker.state.prepared[0].verdict == "spec_unknown"
    worker.learn(specification((*FEATURES, "new"), number=2))
    worker.settle()
    assert 0 not in worker.waiting
    assert worker.state.prepared[0].verdict == "ok"
