"""Features and predictions as their topics hold them → the columns that frames count.

What is no record of the pipeline is left out here and counted: inference and the join set it aside.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from freshet.avro import Ragged, Strings
from freshet.avro.framed import FramedReader
from freshet.avro.own_schemas import is_newer
from freshet.avro.rows import Rows
from freshet.contracts.arrays import Bools, Floats32, Ints
from freshet.contracts.batch import Batch
from freshet.contracts.profile_messages import FrameKind
from freshet.pipeline import PipelineSpec
from freshet.profiles.bin_edges import answer_names

FEATURES: Final = "features"
PREDICTIONS: Final = "predictions"
KINDS: Final[dict[str, FrameKind]] = {FEATURES: "features", PREDICTIONS: "answers"}
"""What the frames of each input are called."""
_MAX_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class InputColumns:
    """m rows of one partition that are alike wide, in order, and the offsets of records that are none."""

    offsets: Ints
    times_ms: Ints
    values: Floats32
    """(m, n): the columns that are counted."""
    versions: list[str]
    """Of each row: "" for features."""
    epochs: Ints
    """Of each row: -1 for features."""
    width: int
    """Columns of the rows with those that are not counted: of wide rows a frame holds fewer, in all releases alike."""


@dataclass(frozen=True, slots=True, eq=False)
class ReadRows:
    """What a batch holds of one partition."""

    stretches: list[InputColumns]
    """In order; a new one begins where rows become wider."""
    refused: Ints
    """Offsets of what is no record of the pipeline."""
    newer: str = ""
    """Why none of it may be taken in: a later release wrote some of it."""


class ProfileInputs:
    """Reads the inputs of one pipeline, whose classes never change."""

    def __init__(self, spec: PipelineSpec) -> None:
        self.classes = spec.target.classes
        self.answer_names = answer_names(self.classes)
        self._codes = {name.encode(): code for code, name in enumerate(self.classes)}
        self._readers = {
            FEATURES: FramedReader.of("FeatureVector", max_bytes=_MAX_BYTES),
            PREDICTIONS: FramedReader.of("Prediction", max_bytes=_MAX_BYTES),
        }

    def read(self, batch: Batch, partition: int) -> ReadRows:
        """The rows of one partition of a batch."""
        at = batch.rows(partition)
        rows = self._readers[batch.role].read([batch.values[row] for row in at.tolist()])
        newer = [row.schema_id for row in rows.refused if row.schema_id is not None and is_newer(row.schema_id)]
        if newer:
            why = f"records have schema id {newer[0]}, which a newer Freshet wrote: upgrade this process."
            return ReadRows([], np.zeros(0, np.int64), why)
        kept, stretches = self._features(rows, batch, at) if batch.role == FEATURES else self._answers(rows, batch, at)
        refused = np.ones(at.size, np.bool_)
        refused[kept] = False
        return ReadRows(stretches, batch.offsets[at[refused]])

    def _features(self, rows: Rows, batch: Batch, at: Ints) -> tuple[Ints, list[InputColumns]]:
        values = rows.columns["values"]
        assert isinstance(values, Ragged)
        found: list[InputColumns] = []
        wide = values.lengths > 0
        good = np.flatnonzero(wide)
        widths = values.lengths[good]
        ends = [*(np.flatnonzero(np.diff(widths)) + 1).tolist(), good.size]
        first = 0
        for end in ends if good.size else ():
            part = good[first:end]
            matrix = values.take(part).matrix(int(widths[first]))
            found.append(_columns(matrix, batch, at[rows.at[part]]))
            first = end
        return rows.at[good], found

    def _answers(self, rows: Rows, batch: Batch, at: Ints) -> tuple[Ints, list[InputColumns]]:
        """Predictions that can be of this pipeline: a finite score for each class, and one of them answered."""
        scores, labels = rows.columns["scores"], rows.columns["label"]
        versions = rows.columns["version"]
        assert isinstance(scores, Ragged)
        assert isinstance(labels, Strings)
        assert isinstance(versions, Strings)
        good: Bools = scores.lengths == (len(self.classes) or 1)
        kept = np.flatnonzero(good)
        matrix = scores.take(kept).matrix(len(self.classes) or 1)
        sound = np.isfinite(matrix).all(axis=1)
        if self.classes:
            answers = np.array([self._codes.get(text, -1) for text in labels.take(kept).tobytes()], np.int64)
            sound &= answers >= 0
            shown = matrix if len(self.classes) > 2 else matrix[:, 1:]
            matrix = np.column_stack([answers.astype(np.float32), matrix.max(axis=1, initial=0.0), shown])
        kept, matrix, width = kept[sound], matrix[sound, : len(self.answer_names)], matrix.shape[1]
        if not kept.size:
            return rows.at[kept], []
        names = [text.decode(errors="replace") for text in versions.take(kept).tobytes()]
        epochs = np.asarray(rows.columns["epoch"])[kept].astype(np.int64)
        found = _columns(matrix.astype(np.float32), batch, at[rows.at[kept]])
        return rows.at[kept], [replace(found, versions=names, epochs=epochs, width=width)]


def _columns(values: Floats32, batch: Batch, at: Ints) -> InputColumns:
    nothing = np.full(at.size, -1)
    return InputColumns(batch.offsets[at], batch.timestamps_ms[at], values, [""] * at.size, nothing, values.shape[1])
