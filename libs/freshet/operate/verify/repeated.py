"""P1: what a feature vector or a label repeats of the record that it answers is what that record says."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, Protocol, cast

import numpy as np

from freshet.avro import Column, Columns, Strings, frame_ids
from freshet.avro.event_fields import event_fields
from freshet.avro.framed import FramedReader
from freshet.avro.own_schemas import Schema
from freshet.avro.rows import Rows
from freshet.contracts.arrays import Ints
from freshet.contracts.batch import Batch
from freshet.contracts.errors import ContractError
from freshet.contracts.messages import PipelineRecord
from freshet.operate.foreign_ids import ForeignIds
from freshet.operate.verify.evidence import Labels, Life, Predictions, Told, Vectors
from freshet.operate.verify.findings import EXAMPLES, Finding, finding, listed
from freshet.operate.verify.places import hashes, mixed, place
from freshet.pipeline import PipelineSpec
from freshet.pipeline.catalogue import Catalogue
from freshet.pipeline.identifiers import filled, text_of

_MAX_BYTES: Final = 4 << 20

Said = Callable[[Sequence[bytes | None]], tuple[Ints, Sequence[Ints]]]
"""Which of these values can be read, ascending, and what each says as one number; several where it can be read so."""


def repeated(
    features: Vectors, labels: Labels, predictions: Predictions, widths: Mapping[int, int]
) -> Iterator[Finding]:
    """The answers are those of the present lives. `widths`: see `History.spec_widths`."""
    for answers, check in (
        (features, "features carry their event's id, entity and time"),
        (labels, "labels say what their feedback says"),
    ):
        compared = int((answers.others >= 0).sum())
        yield finding("P1", check, compared, answers.ids[answers.others == Told.OTHER])
    known = np.full(len(features.ids), -1)
    for version, width in widths.items():
        known[features.spec_versions == version] = width
    wrong = features.ids[known != features.widths] if widths else features.ids[:0]
    looked_at = len(features.ids) if widths else 0
    yield finding("P1", "features have the values of their specification", looked_at, wrong)
    keyed = (features, labels, predictions)
    broken = [f"{one.role} {place(at)}" for one in keyed for at in one.ids[one.other_keys][:EXAMPLES].tolist()]
    count = sum(int(one.other_keys.sum()) for one in keyed)
    check = "features, labels and predictions have their entity as key"
    yield listed("P1", check, sum(len(one.ids) for one in keyed), broken, count)


class Repeated:
    """Compares answers with the records that they answer, which pass by batch by batch."""

    def __init__(self, answers: Vectors | Labels, said: Ints, says: Said | None) -> None:
        """`said` is what each answer repeats; `says` what records say, None if they cannot be read here."""
        self._answers, self._said, self._says = answers, said, says
        rows = np.flatnonzero(answers.lives != Life.EARLIER)
        self._rows = rows[np.argsort(answers.inputs[rows], kind="stable")]
        self._inputs = answers.inputs[self._rows]

    def add(self, batch: Batch, ids: Ints) -> None:
        """Records of the input topic, with their identities."""
        firsts, ends = (np.searchsorted(self._inputs, ids, side) for side in ("left", "right"))
        counts = ends - firsts
        if not counts.any():
            return
        answered = np.flatnonzero(counts)
        turns = counts[answered]
        steps = np.arange(turns.sum()) - np.repeat(np.cumsum(turns) - turns, turns)
        answers = self._rows[np.repeat(firsts[answered], turns) + steps]
        self._answers.others[answers] = Told.UNREADABLE
        if self._says is None:
            return
        read, says = self._says([batch.values[row] for row in answered.tolist()])
        by_record = np.full(len(answered), -1)
        by_record[read] = np.arange(len(read))
        at = np.repeat(by_record, turns)
        answers, at = answers[at >= 0], at[at >= 0]
        same = np.zeros(len(answers), dtype=bool)
        for one in says:
            same |= one[at] == self._said[answers]
        self._answers.others[answers] = np.where(same, Told.SAME, Told.OTHER)


def with_events(vectors: Vectors, records: Sequence[PipelineRecord], foreign: ForeignIds | None = None) -> Repeated:
    """To be compared with events, which are read as these numbers of the pipeline read them.

    Events with ids of a registry are read with what `foreign` finds; without it they are not compared.
    """
    said = mixed(vectors.event_ids, vectors.entities, vectors.event_times_ms)
    return Repeated(vectors, said, _events(records, foreign))


def with_feedback(labels: Labels) -> Repeated:
    """To be compared with feedback."""
    return Repeated(labels, labels.said, _Feedback())


class _Feedback:
    """What feedback says."""

    def __init__(self) -> None:
        self._reader = FramedReader.of("Feedback", max_bytes=_MAX_BYTES)

    def __call__(self, values: Sequence[bytes | None]) -> tuple[Ints, Sequence[Ints]]:
        rows = self._reader.read(values)
        event_ids, entities, label = (_strings(rows.columns[name]) for name in ("event_id", "entity", "label"))
        numbers = (np.asarray(rows.columns[name]).astype(np.int64) for name in ("labelled_at", "revision"))
        texts = (hashes(filled(entities, event_ids)), hashes(event_ids), hashes(label))
        return rows.at, [mixed(*texts, *numbers)]


class _Names(NamedTuple):
    """The fields of an event that its vector repeats."""

    event_id: str
    entity: str
    event_time: str
    ticks_per_ms: int


class _Decoder(Protocol):
    """See `EventDecoder` of ingestion."""

    def read(self, values: Sequence[bytes | None]) -> Rows: ...


class _Events:
    """What events say, by whichever number of the pipeline has made a vector of them."""

    def __init__(
        self,
        make: Callable[[Mapping[int, Schema]], _Decoder],
        names: Sequence[_Names],
        schemas: Mapping[int, Schema],
        foreign: ForeignIds | None,
    ) -> None:
        """`make` gives a decoder of events with any of the schemas that it is given."""
        self._make, self._names, self._schemas, self._foreign = make, names, dict(schemas), foreign
        self._decoder = make(self._schemas)

    def __call__(self, values: Sequence[bytes | None]) -> tuple[Ints, Sequence[Ints]]:
        if self._foreign is not None:
            found = self._foreign.schemas(set(np.unique(frame_ids(values)[0]).tolist()) - set(self._schemas))
            if found:
                self._schemas |= found
                self._decoder = self._make(self._schemas)
        rows = self._decoder.read(values)
        return rows.at, [_said(rows.columns, names) for names in self._names]


def _events(records: Sequence[PipelineRecord], foreign: ForeignIds | None) -> _Events | None:
    """None if this process cannot read them, for want of a decoder or of the pipeline's record."""
    try:
        specs = [PipelineSpec.parse(record.spec) for record in records]
        schemas: dict[int, Schema] = {one.event_schema_id: json.loads(one.event_schema) for one in records}
        newest = max(range(len(records)), key=lambda at: records[at].number)
        reader = schemas[records[newest].event_schema_id]
        decoder = cast(Callable[..., _Decoder], Catalogue(object, "freshet.decoders").find(specs[newest].decoder))
        most_bytes = max(spec.max_event_bytes for spec in specs)
        fields = event_fields(reader)
        names = {
            _Names(
                spec.event_id, spec.entity, spec.event_time, event_fields(schema)[spec.event_time].ticks_per_ms
            ): None
            for spec, schema in zip(specs, (schemas[one.event_schema_id] for one in records), strict=True)
        }
        there = [
            one
            for one in names
            if {one.event_id, one.entity, one.event_time} <= fields.keys() and not fields[one.event_time].nullable
        ]
        made = _Events(
            lambda known: decoder(known, reader, max_bytes=most_bytes, ignore_unknown=True), there, schemas, foreign
        )
    except (ContractError, ValueError, KeyError, TypeError):
        return None
    return made if there else None


def _said(columns: Columns, names: _Names) -> Ints:
    event_ids = text_of(columns[names.event_id])
    entities = filled(text_of(columns[names.entity]), event_ids)
    times = np.asarray(columns[names.event_time]).astype(np.int64) // names.ticks_per_ms
    return mixed(hashes(event_ids), hashes(entities), times)


def _strings(column: Column) -> Strings:
    assert isinstance(column, Strings)
    return column
