"""A training, from the labelled log to a candidate on its topic. Runs beside the loop, in a job."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from freshet.contracts.messages import Manifest
from freshet.models.contract import Contract, Limits
from freshet.models.manifest import check_manifest
from freshet.models.model_error import ModelError
from freshet.pipeline import PipelineSpec
from freshet.pipeline.catalogue import trainers
from freshet.pipeline.gate import judge_gate
from freshet.quality.setting import setting_of
from freshet.retraining.core.train_job import Champion, Train, Trained
from freshet.retraining.data_set import DataSet, check_enough, data_set
from freshet.retraining.figures import figures
from freshet.retraining.log_reading import read_stretch
from freshet.retraining.provenance import child_settings, code_digest, environment_digest
from freshet.retraining.training_process import run_training
from freshet.runtime.artifacts import fetch_model, publish_model
from freshet.runtime.bus.protocol import Bus
from freshet.runtime.jobs import Stop
from freshet.training.trainer import Trainer, TrainingError
from freshet.training.trainers.command import PROGRAMS


def train(job: Train, bus: Bus, stop: Stop, programs: Path | None = None) -> Trained:
    """See `Train`, also for what is raised. `bus` is one of the pipeline; `programs` those of the trainer `command`.

    Blocks for as long as the training takes. The same job on the same log gives the same candidate: to do it again is
    harmless, also after it was published.
    """
    data = read_data(job, bus)
    made = make(job, data, bus, stop, programs)
    with closing(bus.producer()) as producer:
        published = publish_model(producer, made.graph, made.manifest)
    return Trained(
        manifest=made.manifest,
        offset=published.offset,
        from_row=data.from_row,
        rows=len(data.training),
        holdout_rows=len(data.holdout),
        classes=dict(zip(data.training.classes, data.training.counts.tolist(), strict=True)),
        data_digest=data.digest,
        digest=made.manifest.digest,
        trained_through_ms=data.trained_through_ms,
        metrics=made.manifest.metrics,
        cpu_ms=made.cpu_ms,
        code=code_digest(job.trainer),
        environment=environment_digest(),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """A model that was trained, and that nobody else knows of yet."""

    graph: bytes
    manifest: Manifest
    cpu_ms: int


def read_data(job: Train, bus: Bus) -> DataSet:
    """The rows of a job, from the labelled log. Raises TrainingError if it no longer has its last record."""
    spec = PipelineSpec.parse(job.spec)
    _trainer(job, spec)  # what cannot be trained need not be read
    names, classes = spec.feature_names, spec.target.classes
    stretch = read_stretch(bus, job.from_row, job.end_row, job.through, width=len(names), classes=len(classes) or 1)
    return data_set(stretch, job.from_row, job.cut_row, job.end_row, names=names, classes=classes)


def make(job: Train, data: DataSet, bus: Bus, stop: Stop, programs: Path | None = None) -> Made:
    """Train on these rows, and compare with the champion, whose bytes come from `bus`. Publishes nothing."""
    spec = PipelineSpec.parse(job.spec)
    trainer = _trainer(job, spec)
    check_enough(data.training, job.min_rows)
    settings = {**child_settings(), **({PROGRAMS: str(programs)} if programs and trainer.programs else {})}
    champion = _champions_bytes(job.champion, bus)
    model = run_training(job, data, champion, lineage=_lineage(job, data), settings=settings, stop=stop)
    found = figures(data.holdout, model.scores, setting_of(spec))
    gate = judge_gate(spec.retraining.gate, found, job.champion.version if job.champion else "")
    told = {"metrics": dict(sorted(found.items())), "lineage": {**model.manifest.lineage, **gate.lineage}}
    manifest = model.manifest.model_copy(update=told)
    contract = Contract(spec.feature_names, spec.target.classes, Limits.of(spec.limits))
    if problems := check_manifest(manifest, contract):
        raise ModelError("manifest_invalid", " ".join(problems))
    return Made(model.graph, manifest, model.cpu_ms)


def _trainer(job: Train, spec: PipelineSpec) -> Trainer:
    kind = trainers().find(job.trainer)
    if spec.target.kind not in kind.learns:
        raise TrainingError(
            f"the trainer {job.trainer} predicts {' or '.join(sorted(kind.learns))}, but the pipeline's target is "
            f"{spec.target.kind}: choose another in retraining.trainer."
        )
    try:
        return kind.of(job.params)
    except ValueError as error:
        raise TrainingError(f"the trainer {job.trainer} does not take these parameters: {error}") from error


def _champions_bytes(champion: Champion | None, bus: Bus) -> bytes:
    if champion is None:
        return b""
    with closing(fetch_model(champion.manifest, champion.chunk_offsets, bus)) as assembly:
        return assembly.bytes()


def _lineage(job: Train, data: DataSet) -> dict[str, str]:
    """What the manifest says of where the model comes from."""
    return {
        "training": job.training,
        "training_set": data.training_digest,
        "data": data.digest,
        "from_row": str(data.from_row),
        "cut_row": str(job.cut_row),
        "end_row": str(job.end_row),
        "through": str(job.through),
        "rows": str(len(data.training)),
        "holdout_rows": str(len(data.holdout)),
        "trained_through_ms": str(data.trained_through_ms),
        "specification": str(job.number),
        "seed": str(job.seed),
        "champion": job.champion.version if job.champion else "",
        "code": code_digest(job.trainer),
        "environment": environment_digest(),
        **{f"trainer.{name}": text for name, text in job.params.items()},
    }
