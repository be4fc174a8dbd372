"""The state of an evaluation as bytes: the same state gives the same ones."""

import json
import struct
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from freshet.quality.arrival import Series
from freshet.quality.closed import Range, Ranges
from freshet.quality.counts import Counts
from freshet.quality.fold import State
from freshet.quality.known import Known

_HEAD: Final = struct.Struct("<II")
"""Bytes of the JSON, and rows of what is known."""


def to_bytes(state: State) -> bytes:
    """See `Follower`. Under a megabyte, but for pipelines of hundreds of classes."""
    known = state.known
    told = {
        "number": state.number,
        "classes": state.classes,
        "rows": state.rows,
        "next_row": sorted(state.next_row.items()),
        "known": known.counts.tolist(),
        "series": {
            name: [_counts(one.counts), one.rows, one.records, one.last_row] for name, one in state.series.items()
        },
        "ranges": [_range(one) for one in state.ranges.ranges],
        "behind_ms": state.ranges.behind_ms,
        "reached_ms": sorted((state.ranges.reached_ms or {}).items()),
    }
    text = json.dumps(told, separators=(",", ":"), sort_keys=True).encode()
    labels, commonest = known.labels, known.commonest
    if state.classes:
        labels, commonest = labels.astype("<i2"), np.nan_to_num(commonest, nan=-1).astype("<i2")
    columns = [column.tobytes() for column in (known.known_ms.astype("<i8"), labels, commonest)]
    return b"".join([_HEAD.pack(len(text), len(labels)), text, *columns])


def from_bytes(body: bytes) -> State:
    """The state that gave these bytes."""
    size, rows = _HEAD.unpack_from(body)
    told = json.loads(body[_HEAD.size : _HEAD.size + size])
    at, classes = _HEAD.size + size, told["classes"]
    known_ms = np.frombuffer(body, "<i8", rows, at).astype(np.int64)
    labels, commonest = np.frombuffer(body, "<i2" if classes else "<f8", 2 * rows, at + 8 * rows).reshape(2, rows)
    if classes:
        labels, commonest = labels.astype(np.float64), np.where(commonest < 0, np.nan, commonest.astype(np.float64))
    reached = dict(told["reached_ms"])
    return State(
        told["number"],
        classes,
        told["rows"],
        dict(told["next_row"]),
        Known(np.array(told["known"], np.float64), known_ms, labels, commonest),
        {name: Series(_counts_of(one[0], classes), *one[1:]) for name, one in told["series"].items()},
        Ranges(tuple(_range_of(one, classes) for one in told["ranges"]), told["behind_ms"], reached or None),
    )


def _counts(counts: Counts) -> list[Any]:
    """The counts without zeros, which are most of them."""
    cells = np.concatenate((counts.confusion.ravel(), counts.score_bins.ravel()))
    there = np.flatnonzero(cells)
    numbers = [counts.rows, counts.first_row, counts.end_row, counts.start_ms, counts.end_ms, counts.predictions]
    versions = dict(counts.versions)
    return [numbers, there.tolist(), cells[there].tolist(), counts.sums.tolist(), versions, list(counts.epochs)]


def _counts_of(told: list[Any], classes: int) -> Counts:
    numbers, there, values, sums, versions, epochs = told
    none = Counts.none(classes)
    cells = np.zeros(none.confusion.size + none.score_bins.size, np.int64)
    cells[there] = values
    confusion, score_bins = cells[: none.confusion.size], cells[none.confusion.size :]
    rows, *places = numbers
    return Counts(
        rows,
        confusion.reshape(none.confusion.shape),
        score_bins.reshape(none.score_bins.shape),
        np.array(sums, np.float64),
        versions,
        tuple(epochs),
        *places,
    )


def _range(one: Range) -> list[Any]:
    counts: Mapping[str, Counts] | None = one.counts
    told = None if counts is None else {name: _counts(found) for name, found in counts.items()}
    answered = [(answer, *part) for answer, part in sorted(one.answered.items())]
    return [one.start_ms, one.end_ms, one.predictions, one.labelled, told, answered]


def _range_of(told: list[Any], classes: int) -> Range:
    start_ms, end_ms, predictions, labelled, counts, *more = told  # earlier releases told nothing by answer
    found = None if counts is None else {name: _counts_of(one, classes) for name, one in counts.items()}
    answered = {answer: (asked, done) for answer, asked, done in (more[0] if more else ())}
    return Range(start_ms, end_ms, predictions, labelled, found, answered)
