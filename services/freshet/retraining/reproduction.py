"""`freshet reproduce`: a training is done again from its record, and the two models are compared. Publishes nothing."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from freshet.contracts.messages import Manifest, ModelVersion
from freshet.contracts.training_message import Training
from freshet.models.gaps import row_gaps
from freshet.models.manifest import golden_rows
from freshet.models.model_error import ModelError
from freshet.pipeline import PipelineSpec
from freshet.retraining.core.train_job import Train
from freshet.retraining.data_set import DataSet
from freshet.retraining.log_reading import RowsExpiredError
from freshet.retraining.provenance import code_digest, environment_digest
from freshet.retraining.row_archive import archived
from freshet.retraining.training_run import ROWS, make, read_log, rows_of
from freshet.runtime.bus.protocol import Bus
from freshet.runtime.jobs import Stop

_NEAR: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Reproduction:
    """Two models of one training: the published one, and the one that was made now."""

    training: str
    recorded: str
    """Digest of the published model."""
    made: str
    """Digest of the one that was made now."""
    gap: float
    """How far the scores of the golden rows lie apart at most; infinite if these are other rows."""
    differs: tuple[str, ...]
    """Of `rows`, `code` and `environment` those that are not what they were."""

    @property
    def same(self) -> bool:
        """Whether it is the same model, to the byte."""
        return self.made == self.recorded

    @property
    def sentence(self) -> str:
        """What came of it, for people."""
        if self.same:
            return f"training {self.training} gives the same model again, to the byte: sha256 {self.made}."
        scores = "it has other golden rows"
        if math.isfinite(self.gap):
            much = f"agree to {_NEAR:.0e}" if self.gap <= _NEAR else f"differ by up to {self.gap:.2g}"
            scores = f"the scores of its golden rows {much}"
        why = " and ".join(_WHY[name] for name in self.differs) or (
            "rows, parameters, seed, code and environment are the recorded ones, so this trainer does not repeat itself"
        )
        return (
            f"training {self.training} gives another model now, sha256 {self.made} instead of {self.recorded}; "
            f"{scores}. The reason: {why}."
        )


_WHY: Final = {
    "rows": "the rows are others than those that were recorded",
    "code": "this is another version of Freshet or of the trainer",
    "environment": "this machine has other libraries or another kind of processor",
}


def reproduce(
    record: Training,
    model: ModelVersion,
    spec: str,
    bus: Bus,
    stop: Stop,
    *,
    programs: Path | None = None,
) -> Reproduction:
    """Train again what `record`, a finished training, says, for the specification `spec`, and compare with `model`.

    `bus` is one of the pipeline. Blocks for as long as a training takes. Raises RowsExpiredError if
    neither log nor artifacts have all rows, and what a training raises.
    """
    job = Train.of(record, spec, PipelineSpec.parse(spec).retraining.min_rows, None)
    data = _data(job, record, model.manifest.lineage.get(ROWS, ""), bus)
    manifest = make(job, data, bus, stop, programs=programs).manifest
    now = {"rows": data.digest, "code": code_digest(record.trainer), "environment": environment_digest()}
    then = {"rows": record.data_digest, "code": record.code, "environment": record.environment}
    differs = tuple(name for name, digest in now.items() if digest != then[name])
    return Reproduction(
        record.training, model.manifest.digest, manifest.digest, _gap(model.manifest, manifest), differs
    )


def _data(job: Train, record: Training, rows: str, bus: Bus) -> DataSet:
    """From the log, and where that has lost rows from the artifacts."""
    try:
        data = rows_of(job, read_log(job, bus))
    except RowsExpiredError:
        data = None
    if data is not None and data.from_row <= record.from_row:
        return data
    gone = "" if data is None else f", which only goes back to row {data.from_row:,}"
    try:
        if rows:
            return rows_of(job, archived(rows, bus))
    except ModelError as error:
        gone += f"; nor are they among the artifacts: {error.detail}"
    raise RowsExpiredError(
        f"training {record.training} learned from rows {record.from_row:,} to {record.cut_row:,}, and retention has "
        f"taken rows of the labelled log{gone}."
    )


def _gap(one: Manifest, other: Manifest) -> float:
    (rows, scores), (other_rows, other_scores) = golden_rows(one), golden_rows(other)
    if rows.shape != other_rows.shape or not np.array_equal(rows, other_rows, equal_nan=True):
        return math.inf
    return float(row_gaps(scores, other_scores).max())
