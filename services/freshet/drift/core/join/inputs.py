"""Predictions and labels as their topics hold them → the rows that the join remembers."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from freshet.avro import Ragged, Strings
from freshet.avro.framed import FramedReader
from freshet.contracts.arrays import Floats, Ints
from freshet.contracts.batch import Batch
from freshet.contracts.errors import ContractError
from freshet.contracts.topic_id import to_text
from freshet.drift.core.join.hashing import hash64
from freshet.drift.core.join.join_rows import LABEL, Table, prediction_type
from freshet.drift.core.join.slab import code_of
from freshet.pipeline import PipelineSpec

_MAX_BYTES: Final = 1 << 20
_CHECK_SEED: Final = 0x9E3779B97F4A7C15
_FEW: Final = 8
"""So many different texts are looked for in all rows; what is left is taken row by row."""


class UnreadableError(ContractError):
    """A record of Freshet's own that cannot be read: somebody else wrote it. It is not passed over."""


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

    def predictions(self, batch: Batch, at: Ints, plan: int, names: dict[str, list[str]]) -> Table:
        """These rows of a batch; `names` are what `version` and `topic` count, and grow."""
        columns = self._columns(self._predictions, batch, at)
        rows = self._rows(batch, at, plan, prediction_type(self.scores), columns["event_id"])
        for column, field in (("features_offset", "features_offset"), ("event_time_ms", "event_time")):
            rows[column] = columns[field]
        rows["epoch"], rows["fallback"] = columns["epoch"], columns["fallback"]
        scores, answers, versions, topics = (columns[name] for name in ("scores", "label", "version", "features_topic"))
        assert isinstance(scores, Ragged)
        assert isinstance(answers, Strings)
        assert isinstance(versions, Strings)
        assert isinstance(topics, Strings)
        rows["scores"] = scores.matrix(self.scores)
        rows["answer"] = _each(answers, lambda text: self._codes.get(text.decode(), -1))
        rows["version"] = _each(versions, lambda text: code_of(text.decode(), names["version"]))
        rows["topic"] = _each(topics, lambda topic: code_of(to_text(topic), names["topic"]))
        return rows

    def labels(self, batch: Batch, at: Ints, plan: int) -> Table:
        """These rows of a batch. A class that is none of the pipeline's counts as one of its own, behind all."""
        columns = self._columns(self._labels, batch, at)
        rows = self._rows(batch, at, plan, LABEL, columns["event_id"])
        rows["claimed_ms"], rows["revision"] = columns["labelled_at"], columns["revision"]
        texts = columns["label"]
        assert isinstance(texts, Strings)
        rows["value"] = _each(texts, lambda text: self._value(text.decode()))
        return rows

    def _value(self, text: str) -> float:
        """The class by its place, or the number that is meant."""
        return float(self._codes.get(text, len(self.classes))) if self.classes else float(text)

    def _columns(self, reader: FramedReader, batch: Batch, at: Ints) -> dict[str, object]:
        values = batch.values if at.size == len(batch) else [batch.values[row] for row in at.tolist()]
        read = reader.read(values)
        if read.refused:
            bad = read.refused[0]
            row = int(at[bad.row])
            raise UnreadableError(
                f"{batch.role}/{batch.partitions[row]} at offset {batch.offsets[row]} cannot be read ({bad.detail}). "
                "Only Freshet writes to this topic, so a stranger did, or a newer release. The join goes no further: "
                "upgrade, or delete the records up to there (`kafka-delete-records.sh`) and start it with "
                "--on-expired skip."
            )
        return dict(read.columns)

    @staticmethod
    def _rows(batch: Batch, at: Ints, plan: int, kind: "np.dtype[Any]", ids: object) -> Table:
        assert isinstance(ids, Strings)
        rows = np.zeros(at.size, kind)
        rows["hash"], rows["check"] = hash64(ids), hash64(ids, _CHECK_SEED) >> np.uint64(32)
        rows["offset"], rows["time_ms"], rows["plan"] = batch.offsets[at], batch.timestamps_ms[at], plan
        return rows


def _each(texts: Strings, meaning: Callable[[bytes], float]) -> Floats:
    """What each row means. Mostly few differ: such a text is looked up once, for all rows that have it."""
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
