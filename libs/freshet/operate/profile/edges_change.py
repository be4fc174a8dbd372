"""Other edges for the columns of a pipeline: chosen from its newest rows when somebody asks for them."""

from typing import Any, Final

import numpy as np

from freshet.avro.framed import FramedReader
from freshet.contracts.arrays import Floats32
from freshet.contracts.profile_messages import Edges, FrameKind
from freshet.operate.operate_error import OperateError
from freshet.pipeline import PipelineSpec
from freshet.profiles.bin_edges import answer_names, chosen
from freshet.profiles.edges_book import EdgesBook, edges_key, edges_record, is_by_command
from freshet.runtime.bus.protocol import Bus, Place
from freshet.runtime.reading import everything

FEWEST: Final = 100
"""From fewer rows no edges are chosen: chance would decide where they lie."""
EDGES: Final = ("id", "of", "columns", "in force", "chosen by", "from", "rows")
_SOURCES: Final = {
    "features": ("features", "FeatureVector", "values"),
    "answers": ("predictions", "Prediction", "scores"),
}
_MAX_BYTES: Final = 1 << 20


def edges_from_newest(
    bus: Bus, spec: PipelineSpec, kind: FrameKind, *, rows: int, partition: int | None = None
) -> tuple[str, Edges]:
    """Key and record of edges chosen from the newest rows of one partition, the longest one if none is named.

    Nothing is written. Raises OperateError where there are too few rows, or edges that never change.
    """
    if kind == "answers" and spec.target.classes:
        raise OperateError("edges of a classification's answers are fixed: scores go from 0 to 1.", "usage")
    names = spec.feature_names if kind == "features" else answer_names(())
    role, record, column = _SOURCES[kind]
    spans = bus.spans(role)
    place = max(spans, key=lambda number: spans[number].end - spans[number].low) if partition is None else partition
    if place not in spans:
        raise OperateError(f"{role} has the partitions 0 to {len(spans) - 1}, and no {place}.", "usage")
    reader = FramedReader.of(record, max_bytes=_MAX_BYTES)
    offsets, values = _newest(bus, Place(role, place), reader, column, len(names), rows=rows)
    if len(offsets) < FEWEST:
        raise OperateError(
            f"partition {place} of {role} holds {len(offsets)} rows with {len(names)} columns; edges take {FEWEST}.",
            "failed",
        )
    edges = chosen(names, values)
    told = place, int(offsets[0]), int(offsets[-1]) + 1, len(offsets)
    return edges_key(spec.pipeline, kind, edges, None), edges_record(
        spec.pipeline, kind, edges, topic=bus.topic_id(role), rows=told
    )


def edges_rows(book: EdgesBook) -> list[list[str]]:
    """A row of text for each record, in the order of the topic."""
    found = []
    for key, one in book.records.items():
        edges = book.in_force(one.kind, one.names)
        here = "yes" if edges is not None and edges.id == one.id else "no"
        by = "a command" if is_by_command(key) else "its first rows"
        place = f"{one.partition}/{one.from_offset:,}–{one.to_offset - 1:,}"
        found.append([one.id, one.kind, str(len(one.names)), here, by, place, f"{one.rows:,}"])
    return found


def _newest(
    bus: Bus, place: Place, reader: FramedReader, column: str, width: int, *, rows: int
) -> tuple[Any, Floats32]:
    """Offsets and values of the newest rows so wide, ascending: among offsets there are marks of transactions, too."""
    span = bus.spans(place.role)[place.partition]
    offsets, parts = [np.zeros(0, np.int64)], [np.zeros((0, width), np.float32)]
    for batch in everything(bus, place.role, {place: max(span.low, span.end - 2 * rows)}):
        found = reader.read(batch.values)
        values: Any = found.columns[column]
        good = np.flatnonzero(values.lengths == width)
        offsets.append(batch.offsets[found.at[good]])
        parts.append(values.take(good).matrix(width))
    return np.concatenate(offsets)[-rows:], np.concatenate(parts)[-rows:]
