"""What the topics say of a training that has finished, and of the version that the registry made of it."""

from freshet.contracts.messages import Change, ModelVersion
from freshet.contracts.training_message import Training
from freshet.pipeline.gate import judge_gate
from freshet.retraining.core import training_records
from freshet.retraining.core.train_job import Train, Trained


def finished(job: Train, trained: Trained) -> Training:
    """The last record of the training that this job did."""
    begun = Training(
        pipeline=job.pipeline,
        training=job.training,
        phase="started",
        trigger="command",
        trigger_id="c1",
        reason="",
        specification=job.number,
        trainer=job.trainer,
        params=dict(job.params),
        seed=job.seed,
        code=trained.code,
        environment="",
        from_row=job.from_row,
        cut_row=job.cut_row,
        end_row=job.end_row,
        through=job.through,
        trained_through_ms=0,
        rows=0,
        holdout_rows=0,
        classes={},
        data_digest="",
        digest="",
        champion="",
        metrics={},
        gate="none",
        clauses=(),
        cpu_ms=0,
        at_ms=1,
        by="",
    )
    record = training_records.finished(begun, trained, judge_gate((), trained.metrics, ""), 2).message
    assert isinstance(record, Training)
    return record


def admitted(trained: Trained, version: str = "1.0.0") -> ModelVersion:
    """The registry has admitted its candidate."""
    return ModelVersion(
        pipeline=trained.manifest.pipeline,
        version=version,
        state="admitted",
        reason="",
        manifest=trained.manifest,
        history=(Change(at_ms=3, what="admitted"),),
    )
