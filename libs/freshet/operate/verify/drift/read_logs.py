"""Reads predictions and labels of one partition as the judge compares them, and whole those that a sample names."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from freshet.avro import Columns, Ragged, Strings, take
from freshet.avro.framed import FramedReader
from freshet.contracts.arrays import Ints
from freshet.operate.verify.drift.compared import ASKED, TOLD, Table, none
from freshet.operate.verify.drift.contents import Asked, At, Told, Vector
from freshet.operate.verify.drift.windows import value_of
from freshet.operate.verify.places import hashes
from freshet.runtime.bus.protocol import Bus, Place
from freshet.runtime.reading import everything

_MAX_BYTES: Final = 4 << 20
_RECORDS: Final = {"predictions": "Prediction", "labels": "Label", "features": "FeatureVector"}


@dataclass(slots=True, eq=False)
class InputLog:
    """One partition of predictions or of labels, as far as the join has read it."""

    rows: Table
    cut: bool
    """Whether anything before it is not there, or was not read."""
    beyond: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    """Offsets of the records that the labelled log says nothing of."""
    whole: dict[At, Any] = field(default_factory=dict)
    """The records that a sample names: `Asked` or `Told`."""

    def sure_from_ms(self, after_ms: int) -> int:
        """From when on nothing can be missing, if what is so long before matters."""
        if not self.cut:
            return 0
        return int(self.rows["time_ms"][0]) + after_ms if self.rows.size else 2**62


class Records:
    """Reads records of a pipeline with these classes."""

    def __init__(self, bus: Bus, classes: tuple[str, ...]) -> None:
        self._bus, self._classes = bus, classes

    def log(
        self,
        place: Place,
        start: int,
        end: int,
        plan_of: Callable[[str, Ints], Ints],
        sampled: Collection[int],
    ) -> InputLog:
        """The records from start on, with those before `end` as rows; and whole, those at these offsets."""
        role, number = place
        cut = start > 0 or self._bus.spans(role)[number].low > 0
        found = InputLog(none(ASKED if role == "predictions" else TOLD), cut)
        parts, wanted = [found.rows], np.array(sorted(sampled), np.int64)
        for decoded in self._read(place, start):
            offsets, times_ms, columns = self._usable(role, *decoded)
            read = offsets < end
            found.beyond = np.append(found.beyond, offsets[~read])
            rows = np.zeros(offsets.size, found.rows.dtype)
            ids = columns["event_id"]
            assert isinstance(ids, Strings)
            rows["id"], rows["offset"], rows["time_ms"] = hashes(ids), offsets, times_ms
            rows["plan"] = plan_of(role, offsets)
            if role == "labels":
                rows["claimed_ms"], rows["revision"] = columns["labelled_at"], columns["revision"]
                rows["value"] = self._values_of(columns)
            parts.append(rows[read])
            for row in np.flatnonzero(np.isin(offsets, wanted)).tolist():
                of = self._asked(columns, row) if role == "predictions" else Told(*rows[row].tolist()[-3:])
                found.whole[number, int(offsets[row])] = of
        found.rows = np.concatenate(parts)
        found.cut |= self._bus.spans(role)[number].low > 0  # retention goes on while it is read
        return found

    def vectors(self, wanted: Collection[At]) -> dict[At, Vector]:
        """The feature vectors at these places, as far as they are there."""
        found: dict[At, Vector] = {}
        spans = self._bus.spans("features")
        for number in sorted({partition for partition, _ in wanted} & spans.keys()):
            offsets = np.array(sorted({offset for partition, offset in wanted if partition == number}), np.int64)
            for at, _, columns in self._read(Place("features", number), max(int(offsets[0]), spans[number].low)):
                values, specs = columns["values"], columns["spec_version"]
                assert isinstance(values, Ragged)
                for row in np.flatnonzero(np.isin(at, offsets)).tolist():
                    told = values.take(np.array([row])).flat.astype("<f4").tobytes()
                    found[number, int(at[row])] = Vector(int(np.asarray(specs)[row]), told)
                if at.size and at[-1] >= offsets[-1]:
                    break
        return found

    def _read(self, place: Place, start: int) -> Iterator[tuple[Ints, Ints, Columns]]:
        reader = FramedReader.of(_RECORDS[place.role], max_bytes=_MAX_BYTES)
        for batch in everything(self._bus, place.role, {place: start}):
            read = reader.read(batch.values)
            yield batch.offsets[read.at], batch.timestamps_ms[read.at], read.columns

    def _usable(self, role: str, offsets: Ints, times_ms: Ints, columns: Columns) -> tuple[Ints, Ints, Columns]:
        """Without those that are no answer or label of the pipeline, which the join sets aside."""
        known = np.isin(_texts(columns, "label").tolist(), self._classes or [""])
        if role == "labels":
            usable = known if self._classes else np.isfinite(self._values_of(columns))
        else:
            scores, most_scores = columns["scores"], max(len(self._classes), 1)
            assert isinstance(scores, Ragged)
            whole = scores.lengths == most_scores
            at = np.flatnonzero(whole)
            whole[at] = np.isfinite(scores.take(at).matrix(most_scores)).all(axis=1)
            usable = (known | (not self._classes)) & whole
            for name, most in (("features_offset", 2**63 - 1), ("epoch", 2**32 - 1), ("fallback", 1)):
                usable &= (np.asarray(columns[name]) >= 0) & (np.asarray(columns[name]) <= most)
            usable &= np.array([len(text.encode()) < 256 for text in _texts(columns, "version").tolist()], np.bool_)
        at = np.flatnonzero(usable)
        return offsets[at], times_ms[at], {name: take(column, at) for name, column in columns.items()}

    def _values_of(self, columns: Columns) -> list[float]:
        texts = _texts(columns, "label").tolist()
        return [value_of(text, self._classes) for text in texts]

    def _asked(self, columns: Columns, row: int) -> Asked:
        scores = columns["scores"]
        assert isinstance(scores, Ragged)
        at = np.array([row])
        label, version = (_texts(columns, name).take(at).tolist()[0] for name in ("label", "version"))
        numbers = {
            name: int(np.asarray(columns[name])[row]) for name in ("epoch", "fallback", "event_time", "features_offset")
        }
        return Asked(
            version,
            numbers["epoch"],
            numbers["fallback"],
            self._classes.index(label) if label in self._classes else -1,
            numbers["event_time"],
            numbers["features_offset"],
            scores.take(at).flat.astype("<f4").tobytes(),
        )


def _texts(columns: Columns, name: str) -> Strings:
    column = columns[name]
    assert isinstance(column, Strings)
    return column
