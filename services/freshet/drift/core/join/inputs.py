"""Predictions and labels as their topics hold them → the rows that the join remembers.

Freshet writes these topics, and anybody may: whatever is no answer or label of the pipeline is refused with a reason.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from freshet.avro import Column, Columns, Ragged, Strings, take
from freshet.avro.framed import FramedReader
from freshet.avro.own_schemas import is_newer
from freshet.avro.rows import RefusedRow
from freshet.contracts.arrays import Bools, Floats, Ints
from freshet.contracts.batch import Batch
from freshet.contracts.topic_id import to_text
from freshet.drift.core.join.hashing import hash64
from freshet.drift.core.join.join_rows import LABEL, Table, prediction_type
from freshet.drift.core.join.slab import code_of
from freshet.pipeline import PipelineSpec

_MAX_BYTES: Final = 1 << 20
_MAX_EPOCH: Final = 2**32 - 1
_MAX_VERSION_BYTES: Final = 255
_CHECK_SEED: Final = 0x9E3779B97F4A7C15
_FEW: Final = 8
"""So many different texts are looked for in all rows; what is left is taken row by row."""


class InputRows(NamedTuple):
    """Rows that the join takes in, and those of the batch that it cannot use."""

    rows: Table
    refused: list[RefusedRow]

    @property
    def newer(self) -> str:
        """Why none of it may be taken in: a later release wrote some of it. Empty if none did."""
        newer = [row.schema_id for row in self.refused if row.schema_id is not None and is_newer(row.schema_id)]
        return f"records have schema id {newer[0]}, which a newer Freshet wrote: upgrade this process." if newer else ""


class JoinInputs:
    """Reads the inputs of one pipeline, whose classes never change."""

    def __init__(self, spec: PipelineSpec) -> None:
        self.classes = spec.target.classes
        self._codes = {name: code for code, name in enumerate(self.classes)}
        self._predictions = FramedReader.of("Prediction", max_bytes=_MAX_BYTES)
        self._labels = FramedReader.of("Label", max_bytes=_MAX_BYTES)

    @property
    def scores(self) -> int:
        """Scores of each prediction."""
        return len(self.classes) or 1

    def predictions(self, batch: Batch, at: Ints, plan: int, names: dict[str, list[str]]) -> InputRows:
        """These rows of a batch; `names` are what `version` and `topic` count, and grow."""
        found = self._sound(_Found.of(self._predictions, batch, at))
        columns, rows = found.columns, found.rows(batch, plan, prediction_type(self.scores))
        for column, field in (("features_offset", "features_offset"), ("event_time_ms", "event_time")):
            rows[column] = columns[field]
        rows["epoch"], rows["fallback"] = columns["epoch"], columns["fallback"]
        rows["scores"], rows["answer"] = columns["scores"], columns["label"]
        rows["version"] = _each(columns, "version", lambda text: code_of(text.decode(), names["version"]))
        rows["topic"] = _each(columns, "features_topic", lambda topic: code_of(to_text(topic), names["topic"]))
        return InputRows(rows, found.refused)

    def _sound(self, found: "_Found") -> "_Found":
        """Without those that are no answers of this pipeline, whoever wrote them.

        Its scores are a matrix, its labels places in the pipeline's classes (-1 of a regression).
        """
        found = found.without(
            _ragged(found.columns, "scores").lengths != self.scores,
            "input_malformed",
            f"scores: there must be {self.scores}.",
        )
        scores = _ragged(found.columns, "scores").matrix(self.scores)
        answers = _each(found.columns, "label", lambda text: self._codes.get(text.decode(), -1))
        found = found.having(scores=scores, label=answers)
        found = found.without(~np.isfinite(scores).all(axis=1), "input_not_finite", "scores: they must be finite.")
        if self.classes:
            unknown = np.asarray(found.columns["label"]) < 0
            found = found.without(
                unknown, "input_enum", f"label: the pipeline's classes are {', '.join(self.classes)}."
            )
        offset, epoch, fallback = (np.asarray(found.columns[name]) for name in ("features_offset", "epoch", "fallback"))
        version = _strings(found.columns, "version").lengths
        odd = (offset < 0) | (epoch < 0) | (epoch > _MAX_EPOCH) | (fallback < 0) | (fallback > 1)
        detail = "features_offset, epoch, fallback or version is none that inference writes."
        return found.without(odd | (version > _MAX_VERSION_BYTES), "input_malformed", detail)

    def labels(self, batch: Batch, at: Ints, plan: int) -> InputRows:
        """These rows of a batch."""
        found = _Found.of(self._labels, batch, at)
        values = _each(found.columns, "label", self._value)
        found, known = found.having(label=values), np.isfinite(values)
        if self.classes:
            found = found.without(~known, "input_enum", f"label: the pipeline's classes are {', '.join(self.classes)}.")
        else:
            found = found.without(~known, "input_malformed", "label: a regression's label is a finite decimal number.")
        rows = found.rows(batch, plan, LABEL)
        rows["claimed_ms"], rows["revision"] = found.columns["labelled_at"], found.columns["revision"]
        rows["value"] = found.columns["label"]
        return InputRows(rows, found.refused)

    def _value(self, text: bytes) -> float:
        """The class by its place, or the number that is meant; NaN if it is neither."""
        if self.classes:
            return float(self._codes.get(text.decode(), np.nan))
        try:
            return float(text)
        except ValueError:
            return np.nan


class _Found(NamedTuple):
    """Decoded rows: `at` are their places in the batch, ascending."""

    at: Ints
    columns: Columns
    refused: list[RefusedRow]

    @classmethod
    def of(cls, reader: FramedReader, batch: Batch, at: Ints) -> "_Found":
        values = batch.values if at.size == len(batch) else [batch.values[row] for row in at.tolist()]
        read = reader.read(values)
        refused = [bad._replace(row=int(at[bad.row])) for bad in read.refused]
        return cls(at[read.at], read.columns, refused)

    def without(self, bad: Bools, reason: str, detail: str) -> "_Found":
        """Those rows are refused for this reason."""
        if not bad.any():
            return self
        kept = np.flatnonzero(~bad)
        columns = {name: take(column, kept) for name, column in self.columns.items()}
        refused = [RefusedRow(row, reason, detail) for row in self.at[bad].tolist()]
        return _Found(self.at[kept], columns, self.refused + refused)

    def having(self, **columns: Column) -> "_Found":
        """With these columns in the place of those of their names."""
        return self._replace(columns={**self.columns, **columns})

    def rows(self, batch: Batch, plan: int, kind: "np.dtype[Any]") -> Table:
        """What every row has."""
        ids = _strings(self.columns, "event_id")
        rows = np.zeros(self.at.size, kind)
        rows["hash"], rows["check"] = hash64(ids), hash64(ids, _CHECK_SEED) >> np.uint64(32)
        rows["offset"], rows["time_ms"], rows["plan"] = batch.offsets[self.at], batch.timestamps_ms[self.at], plan
        return rows


def _ragged(columns: Columns, name: str) -> Ragged:
    found = columns[name]
    assert isinstance(found, Ragged)
    return found


def _strings(columns: Columns, name: str) -> Strings:
    found = columns[name]
    assert isinstance(found, Strings)
    return found


def _each(columns: Columns, name: str, meaning: Callable[[bytes], float]) -> Floats:
    """What the text of each row means. Mostly few differ: such a text is looked up once, for all rows that have it."""
    texts = _strings(columns, name)
    found, left = np.empty(len(texts)), np.arange(len(texts))
    for _ in range(_FEW):
        if not left.size:
            break
        rest = texts.take(left)
        (text,) = rest.take(np.zeros(1, np.int64)).tobytes()
        alike = rest.equal(text)
        found[left[alike]], left = meaning(text), left[~alike]
    found[left] = [meaning(text) for text in texts.take(left).tobytes()]
    return found
