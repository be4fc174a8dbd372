"""Pairs and feature values → records of the labelled log."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from freshet.avro import Ragged, Strings
from freshet.avro.framed import FramedReader
from freshet.contracts.arrays import Bools, Floats32, Ints
from freshet.contracts.batch import Batch
from freshet.contracts.messages import Minute, Outcomes
from freshet.drift.core.join.hashing import hash64
from freshet.drift.core.join.join_rows import Table, renumbered
from freshet.outcomes.outcome_rows import NO_VALUES, OutcomeRows

_MOST_BYTES: Final = 512 << 10
_MAX_VECTOR_BYTES: Final = 1 << 20
_HEAD_BYTES: Final = 16 << 10
_ROW_BYTES: Final = 100
"""Of all columns but scores and values."""


@dataclass(frozen=True, slots=True)
class RecordHead:
    """What every record of a batch says beside its rows. `topics` and `versions` are what the columns count."""

    pipeline: str
    partition: int
    number: int
    inputs: Mapping[str, int]
    counts: Mapping[str, int]
    minutes: list[Minute]
    spec_version: int
    width: int
    classes: int
    regression: bool
    topics: list[str]
    versions: list[str]
    features_topic: str
    """The one that there is now."""
    input_topics: Mapping[str, str]
    number_from: Mapping[str, int]
    """The first offset of each input that was read under `number`."""
    state_from: Mapping[str, int]


class _Group(NamedTuple):
    """Rows of one topic and one form of values."""

    rows: Ints
    topic: str
    spec_version: int
    values: Floats32
    missing: Bools

    def part(self, start: int, most: int) -> "_Group":
        """So many of its rows."""
        some = slice(start, start + most)
        return self._replace(rows=self.rows[some], values=self.values[some], missing=self.missing[some])


class Vectors:
    """Finds the values of predictions in the feature vectors that were looked up."""

    def __init__(self) -> None:
        self._reader = FramedReader.of("FeatureVector", max_bytes=_MAX_VECTOR_BYTES)

    def groups(self, head: RecordHead, asked: Table, found: Batch | None) -> Iterator[_Group]:
        """The rows by features topic, spec version and width; those without values have the newest form."""
        at = np.full(asked.size, -1, np.int64)
        forms = np.empty((asked.size, 3), np.int64)
        forms[:, 0], forms[:, 1], forms[:, 2] = asked["topic"], head.spec_version, head.width
        vectors: Ragged | None = None
        if found is not None and len(found):
            read = self._reader.read(found.values)
            ids, vectors = read.columns["event_id"], read.columns["values"]  # type: ignore[assignment]
            assert isinstance(ids, Strings)
            assert isinstance(vectors, Ragged)
            offsets = found.offsets[read.at]
            place = np.minimum(np.searchsorted(offsets, asked["features_offset"]), max(offsets.size - 1, 0))
            if offsets.size:
                same = (offsets[place] == asked["features_offset"]) & (hash64(ids)[place] == asked["hash"])
                at[same] = place[same]
                forms[same, 1] = np.asarray(read.columns["spec_version"])[place[same]]
                forms[same, 2] = vectors.lengths[place[same]]
        if not (forms == forms[:1]).all():
            kinds, of = np.unique(forms, axis=0, return_inverse=True)
        else:
            kinds, of = forms[:1], np.zeros(len(forms), np.int64)  # nearly always
        for number, (topic, spec_version, width) in enumerate(kinds.tolist()):
            rows = np.flatnonzero(of.ravel() == number)
            yield _Group(rows, head.topics[topic], spec_version, _values(vectors, at[rows], width), at[rows] < 0)


def _values(vectors: Ragged | None, at: Ints, width: int) -> Floats32:
    values = np.full((at.size, width), np.nan, np.float32)
    there = np.flatnonzero(at >= 0)
    if vectors is not None and there.size:
        values[there] = vectors.take(at[there]).matrix(width)
    return values


def records(
    head: RecordHead, first_row: int, pairs: Table, asked: Table, groups: Iterator[_Group]
) -> Iterator[Outcomes]:
    """The records of a batch; one without rows if there are none, for the counts and minutes that changed.

    `asked` are the predictions of `pairs`, row by row.
    """
    minutes = head.minutes
    for group in groups if pairs.size else _no_rows(head):
        most = max(1, (_MOST_BYTES - _HEAD_BYTES) // (_ROW_BYTES + 4 * (head.classes + group.values.shape[1])))
        for start in range(0, max(group.rows.size, 1), most):
            part = group.part(start, most)
            columns = _columns(head, pairs.take(part.rows), asked.take(part.rows), part)
            yield Outcomes(
                pipeline=head.pipeline,
                partition=head.partition,
                first_row=first_row,
                number=head.number,
                features_topic=group.topic,
                inputs=dict(head.inputs),
                counts=dict(head.counts),
                minutes=tuple(minutes),
                rows=part.rows.size,
                spec_version=group.spec_version,
                width=group.values.shape[1],
                classes=head.classes,
                versions=columns.versions,
                input_topics=dict(head.input_topics),
                number_from=dict(head.number_from),
                state_from=dict(head.state_from),
                **columns.columns(),
            )
            first_row, minutes = first_row + part.rows.size, []


def _no_rows(head: RecordHead) -> Iterator[_Group]:
    values, none = np.zeros((0, head.width), np.float32), np.zeros(0, np.int64)
    yield _Group(none, head.features_topic, head.spec_version, values, none.astype(np.bool_))


def _columns(head: RecordHead, pairs: Table, asked: Table, group: _Group) -> OutcomeRows:
    used, codes = renumbered(asked["version"])
    value = pairs["value"]
    return OutcomeRows(
        versions=tuple(head.versions[code] for code in used),
        prediction_offset=asked["offset"],
        label_offset=pairs["label_offset"],
        features_offset=asked["features_offset"],
        event_time_ms=asked["event_time_ms"],
        predicted_ms=asked["time_ms"],
        labelled_ms=pairs["labelled_ms"],
        claimed_ms=pairs["claimed_ms"],
        version=codes,
        epoch=asked["epoch"].astype(np.int64),
        fallback=asked["fallback"].astype(np.int64),
        answer=asked["answer"].astype(np.int64),
        label=np.full(value.size, -1) if head.regression else value.astype(np.int64),
        truth=value if head.regression else np.full(value.size, np.nan),
        scores=asked["scores"],
        weight=pairs["weight"].astype(np.int64),
        revision=pairs["revision"],
        flags=pairs["flags"].astype(np.int64) | np.where(group.missing, NO_VALUES, 0),
        values=group.values,
    )
