"""P5: a sample of predictions is scored again, from the bytes of the models that they name.

A version is a name; what proves it is its numbers. So a swap of names in predictions, cut-overs and rollouts alike
shows here, and only here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from freshet.avro import Columns, Ragged, concat
from freshet.avro.framed import FramedReader
from freshet.contracts.arrays import Floats, Floats32, Ints
from freshet.contracts.messages import Manifest
from freshet.models.contract import BATCH_ROWS
from freshet.models.gaps import row_gaps
from freshet.models.input_columns import FeatureSpace
from freshet.models.model_error import ModelError
from freshet.models.scorer import Scorer
from freshet.operate.verify.chain import read_vectors
from freshet.operate.verify.evidence import Evidence, History, Life, Predictions, Vectors
from freshet.operate.verify.findings import Finding, Unjudged, listed
from freshet.operate.verify.places import identity, offsets_of, partitions_of, place, spread
from freshet.runtime.artifacts import fetch_model
from freshet.runtime.bus.protocol import Bus, Place
from freshet.runtime.reading import everything

TOLERANCE: Final = 1e-6
"""The same bits on the same CPU and onnxruntime; so near on another one. Absolute up to 1, relative above."""
_MAX_BYTES: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Recomputed:
    """What came of scoring again, and the predictions that it could not be done for."""

    finding: Finding
    unjudged: tuple[Unjudged, ...] = ()


def sample(predictions: Predictions, vectors: Vectors, count: int, seed: int = 0) -> tuple[Ints, Ints]:
    """Rows of up to so many predictions whose vectors are still there, and the rows of these vectors.

    Each version gets the same share, as far as it has so many. The same records and seed give the same sample.
    """
    rows, at = read_vectors(predictions, vectors)
    kept = predictions.lives[rows] != Life.EARLIER
    rows, at = rows[kept], at[kept]
    versions, order = predictions.versions[rows], spread(predictions.inputs[rows], seed)
    by_version = np.lexsort((order, versions))
    _, firsts, counts = np.unique(versions[by_version], return_index=True, return_counts=True)
    turns = np.arange(len(rows)) - np.repeat(firsts, counts)
    chosen = by_version[np.lexsort((order[by_version], turns))[:count]]
    return rows[chosen], at[chosen]


def recompute(bus: Bus, evidence: Evidence, count: int, seed: int = 0) -> Recomputed:
    """Score a sample of so many predictions again. Reads predictions and features a second time.

    Memory is that of the sample and of one model. Raises RetriableError if the broker falls silent.
    """
    predictions, vectors = evidence.predictions, evidence.features
    rows, at = sample(predictions, vectors, count, seed)
    published = _ragged(bus, "predictions", "Prediction", "scores", predictions.ids[rows])
    values = _ragged(bus, "features", "FeatureVector", "values", vectors.ids[at])
    broken: list[str] = []
    unjudged: list[Unjudged] = []
    looked_at = 0
    for code in np.unique(predictions.versions[rows]).tolist():
        version = predictions.names[code]
        own = np.flatnonzero(predictions.versions[rows] == code)
        try:
            gaps = _gaps(bus, evidence.history, version, values.take(own), published.take(own))
        except ModelError as error:
            unjudged.append(Unjudged("predictions", len(own), f"of {version} could not be scored again, {error}"))
            continue
        looked_at += len(own)
        wrong = np.flatnonzero(~(gaps <= TOLERANCE))
        places = predictions.ids[rows[own[wrong]]].tolist()
        broken += [
            f"{place(where)} is not {version}'s (off by {gap:.2g})"
            for where, gap in zip(places, gaps[wrong].tolist(), strict=True)
        ]
    return Recomputed(listed("P5", "scores are those of the version's bytes", looked_at, broken), tuple(unjudged))


def _gaps(bus: Bus, history: History, version: str, values: Ragged, published: Ragged) -> Floats:
    """How far each published row of scores is from what the version answers; infinite where it cannot have answered."""
    model = history.ledger.versions.records.get(version)
    if model is None:
        raise ModelError("manifest_missing", f"no record of {version} is on the models topic.")
    manifest, inputs = model.manifest, FeatureSpace(history.feature_names).inputs_of(model.manifest)
    gaps = np.full(len(values), np.inf)
    if inputs is None:
        return gaps
    selected = inputs.select(values)
    scores = _scores(bus, manifest, model.chunk_offsets, selected.matrix)
    own = published.take(selected.rows)
    alike = np.flatnonzero(own.lengths == scores.shape[1])
    gaps[selected.rows[alike]] = row_gaps(scores[alike], own.take(alike).matrix(scores.shape[1]))
    return gaps


def _scores(bus: Bus, manifest: Manifest, chunk_offsets: tuple[int, ...], rows: Floats32) -> Floats32:
    """As serving scores them: the same session, in batches, small ones padded."""
    scorer = Scorer.load(fetch_model(manifest, chunk_offsets, bus).file(), manifest)
    try:
        return np.concatenate([scorer.score(rows[first : first + BATCH_ROWS]) for first in _firsts(len(rows))])
    finally:
        scorer.close()


def _firsts(count: int) -> range:
    return range(0, max(count, 1), BATCH_ROWS)


def _ragged(bus: Bus, role: str, record: str, column: str, ids: Ints) -> Ragged:
    """One column of these records, in this order."""
    found: list[Ragged] = []
    at: list[Ints] = []
    for where, columns in _records(bus, role, record, ids):
        values = columns[column]
        assert isinstance(values, Ragged)
        found.append(values)
        at.append(where)
    if not found:
        return Ragged(np.empty(0, np.float32), np.empty(0, np.int64))
    read = np.concatenate(at)
    by_id = np.argsort(read)
    return concat(found).take(by_id[np.searchsorted(read[by_id], ids)])


def _records(bus: Bus, role: str, record: str, ids: Ints) -> Iterator[tuple[Ints, Columns]]:
    """Identities and columns of these records, as they come."""
    reader = FramedReader.of(record, max_bytes=_MAX_BYTES)
    missing = len(ids)
    for batch in everything(bus, role, _starts(role, ids)) if missing else ():
        where = identity(batch.partitions, batch.offsets)
        rows = np.flatnonzero(np.isin(where, ids))
        if rows.size:
            read = reader.read([batch.values[row] for row in rows.tolist()])
            yield where[rows[read.at]], read.columns
            missing -= rows.size
        if not missing:
            return


def _starts(role: str, ids: Ints) -> Mapping[Place, int]:
    partitions = partitions_of(ids)
    return {
        Place(role, number): int(offsets_of(ids[partitions == number]).min())
        for number in np.unique(partitions).tolist()
    }
