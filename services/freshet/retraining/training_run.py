"""A training, from the labelled log to a candidate on its topic. Runs beside the loop, in a job."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from freshet.contracts.messages import Manifest
from freshet.models.contract import Contract, Limits
from freshet.models.fork_server import ForkServer
from freshet.models.manifest import check_manifest
from freshet.models.model_error import ModelError
from freshet.outcomes.log_rows import Stretch
from freshet.pipeline import PipelineSpec
from freshet.pipeline.catalogue import trainers
from freshet.pipeline.gate import LATENCY, judge_gate
from freshet.quality.figures import figures
from freshet.quality.setting import setting_of
from freshet.retraining.core.train_job import Champion, Train, Trained
from freshet.retraining.data_set import DataSet, check_enough, data_set
from freshet.retraining.log_reading import read_stretch
from freshet.retraining.provenance import child_settings, code_digest, environment_digest
from freshet.retraining.row_archive import RowArchive, aligned
from freshet.retraining.training_process import CHILD, run_training
from freshet.runtime.artifacts import fetch_model, publish_model
from freshet.runtime.bus.protocol import Bus
from freshet.runtime.jobs import Stop
from freshet.training.trainer import Trainer, TrainingError
from freshet.training.trainers.command import PROGRAMS
from freshet.trust.signing_key import SigningKey
from freshet.trust.statements import builder_statement

ROWS: Final = "data_set"
"""What a model's lineage calls the artifact that lists the rows of its training."""


def train(
    job: Train,
    bus: Bus,
    stop: Stop,
    programs: Path | None = None,
    *,
    archive: RowArchive | None = None,
    server: ForkServer | None = None,
    signer: SigningKey | None = None,
) -> Trained:
    """See `Train`, also for what is raised. `bus` is one of the pipeline; `programs` those of the trainer `command`.

    Blocks for as long as the training takes. Its rows are published before its model. `archive` and `server` (see
    `training_server`) are what a process keeps from one training to the next, to save time. `signer` is a builder's
    key: with it, the model is signed. The same job on the same
    log gives the same candidate: to do it again is harmless, also after it was published.
    """
    stretch = read_log(job, bus)
    data = rows_of(job, stretch)
    check_enough(data.training, job.min_rows)
    rows = (archive or RowArchive()).publish(stretch, data.from_row, bus)
    del stretch
    made = make(job, data, bus, stop, programs=programs, rows=rows, server=server)
    with closing(bus.producer()) as producer:
        signatures = signer.sign(builder_statement(made.manifest)) if signer else {}
        published = publish_model(producer, made.graph, made.manifest, signatures)
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


def read_log(job: Train, bus: Bus) -> Stretch:
    """The stretch of the log that a job is about. Raises RowsExpiredError if its last record is gone."""
    spec = PipelineSpec.parse(job.spec)
    _trainer(job, spec)  # what cannot be trained need not be read
    width, classes = len(spec.feature_names), len(spec.target.classes) or 1
    return read_stretch(
        bus, job.pipeline, aligned(job.from_row, width), job.end_row, job.through, width=width, classes=classes
    )


def rows_of(job: Train, stretch: Stretch) -> DataSet:
    """The rows that a job learns from, and those that its model is tried on."""
    spec = PipelineSpec.parse(job.spec)
    return data_set(
        stretch, job.from_row, job.cut_row, job.end_row, names=spec.feature_names, classes=spec.target.classes
    )


def training_server() -> ForkServer:
    """Where the children of trainings come from; only those that may start programs are started alone."""
    return ForkServer(CHILD, child_settings())


def make(
    job: Train,
    data: DataSet,
    bus: Bus,
    stop: Stop,
    *,
    programs: Path | None = None,
    rows: str = "",
    server: ForkServer | None = None,
) -> Made:
    """Train on this data set, and compare with the champion, whose bytes come from `bus`. Publishes nothing.

    `rows` is the digest under which the rows are published; the model's lineage tells it.
    """
    spec = PipelineSpec.parse(job.spec)
    trainer = _trainer(job, spec)
    settings = {**child_settings(), **({PROGRAMS: str(programs)} if programs and trainer.programs else {})}
    champion = _champions_bytes(job.champion, bus)
    server = None if trainer.programs else server
    timed = any(clause.metric == LATENCY for clause in spec.retraining.gate)
    lineage = _lineage(job, data, rows)
    model = run_training(job, data, champion, lineage=lineage, timed=timed, settings=settings, stop=stop, server=server)
    found = figures(data.holdout, model.scores, setting_of(spec))
    found |= {f"{who}.{LATENCY}": value for who, value in model.latency_ms.items()}
    gate = judge_gate(spec.retraining.gate, found, job.champion.version if job.champion else "")
    told = {"metrics": dict(sorted(found.items())), "lineage": {**model.manifest.lineage, **gate.lineage}}
    manifest = model.manifest.model_copy(update=told)
    if job.published is not None and job.published.digest == manifest.digest:
        manifest = job.published  # a latency that is measured again would make another candidate of the same model
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


def _lineage(job: Train, data: DataSet, rows: str) -> dict[str, str]:
    """What the manifest says of where the model comes from."""
    return {
        "training": job.training,
        "training_set": data.training_digest,
        "data": data.digest,
        ROWS: rows,
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
