"""What retraining asks to be done outside its loop: train a model, and look how long the labelled log is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from freshet.contracts.logic import Job
from freshet.contracts.messages import Manifest, ModelVersion
from freshet.contracts.training_message import Training


@dataclass(frozen=True, slots=True)
class Champion:
    """The version that answers now: the candidate is compared with it on the same rows."""

    version: str
    manifest: Manifest
    chunk_offsets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Trained:
    """A model that was trained, and stands on the topics as a candidate. Most of it is told in `Training`: see there.

    `metrics` are `candidate.*` and `champion.*` of the same holdout: `candidate.accuracy` with `candidate.accuracy.low`
    and `.high`, `candidate.log_loss`, of a slice `candidate.slice.NAME.accuracy`. A metric that is not defined, as
    without a holdout, is left out.
    """

    manifest: Manifest
    """As published; its lineage and metrics say the same as this."""
    offset: int
    """Of the candidate's record."""
    from_row: int
    """Later than asked where retention has taken the rows before."""
    rows: int
    holdout_rows: int
    classes: dict[str, int]
    data_digest: str
    digest: str
    trained_through_ms: int
    metrics: dict[str, float]
    cpu_ms: int
    code: str
    environment: str


@dataclass(frozen=True, slots=True, eq=False)
class Train(Job[Trained]):
    """Train a model on rows of the labelled log, compare it with the champion, and publish it as a candidate.

    All but `champion` is as the `started` record says, so that a training that was cut off is done again alike: the
    same rows, parameters and seed give the same model. Rows are numbered as `freshet.outcomes.log_rows` says. It learns
    from [from_row, cut_row) and is tried on those of [cut_row, end_row) that were predicted after its newest label.

    Errors are FreshetErrors whose text is one sentence for people: TrainingError if these rows or this trainer give no
    model, ModelError if it cannot be packed (both come again with a repetition), BusError and SandboxError if nobody
    could try (they may not).
    """

    limit_s: ClassVar[float] = 1800.0

    pipeline: str
    number: int
    """Number of the specification that the model is made for."""
    spec: str
    """Its text."""
    training: str
    """The training's id."""
    from_row: int
    cut_row: int
    end_row: int
    """The row behind the last one of the record at `through`: `Measured.rows` of when it was decided."""
    through: int
    """Offset of the record with the last row: `Measured.through`."""
    min_rows: int
    """Fewer rows to learn from are an error."""
    trainer: str
    """Kind of the trainer."""
    params: Mapping[str, str]
    """As `Trainer.parameters` tells them."""
    seed: int
    champion: Champion | None
    """None while no version answers."""
    published: Manifest | None = None
    """That of the version that came of this training already, if it is done again after that."""

    @classmethod
    def of(cls, begun: Training, spec: str, min_rows: int, rival: ModelVersion | None) -> "Train":
        """The job as the record says, whether it is done for the first time or again; `rival` is its champion."""
        return cls(
            pipeline=begun.pipeline,
            number=begun.specification,
            spec=spec,
            training=begun.training,
            from_row=begun.from_row,
            cut_row=begun.cut_row,
            end_row=begun.end_row,
            through=begun.through,
            min_rows=min_rows,
            trainer=begun.trainer,
            params=begun.params,
            seed=begun.seed,
            champion=Champion(rival.version, rival.manifest, rival.chunk_offsets) if rival is not None else None,
        )

    @property
    def queue(self) -> str:
        """See `Job`. One training at a time for each pipeline."""
        return f"train/{self.pipeline}"


@dataclass(frozen=True, slots=True)
class Measured:
    """The end of the labelled log."""

    rows: int
    """Rows of the log so far: the number of the next one."""
    through: int
    """Offset of the newest record; -1 if there is none."""
    at_ms: int
    """When that was appended, by the broker's clock; 0 if there is none."""
    ends: Mapping[int, int]
    """Of each partition the rows so far."""
    topic_id: str = ""
    """Of the log's topic: one that was deleted and made anew is another log, whose rows are numbered anew."""
    low: int = 0
    """Offset of the oldest record that the log still has."""
    since_ms: int = 0
    """When that was appended; 0 if there is none."""
    late_rows: int = 0
    """Rows appended since nine in ten predictions of the newest record were made: so late are labels; if asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Measure(Job[Measured]):
    """Look how many rows the labelled log has. Reads what is new since `before`, else some records at its end.

    Raises RetriableError without a broker.
    """

    limit_s: ClassVar[float] = 120.0

    pipeline: str
    partitions: int
    """Of the pipeline: each has its own rows in the log."""
    before: Measured | None = None
    """What the last one found."""
    late: bool = False
    """Whether to find out how late labels are, which takes more reading."""

    @property
    def queue(self) -> str:
        """See `Job`."""
        return f"measure/{self.pipeline}"
