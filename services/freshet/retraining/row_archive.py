"""The rows of a training as artifacts, so that it can be done again when the labelled log has lost them.

Rows are cut where their numbers are multiples of one size: such a piece of the log is the same for every training that
takes it in, has the same digest, and is kept once. A training names a list of its pieces, which is an artifact, too.
Every piece is one record, and an `.npz` file that numpy reads.
"""

import io
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

import numpy as np

from freshet.models.artifact import CHUNK_BYTES, digest_of
from freshet.outcomes.log_rows import Stretch
from freshet.outcomes.outcome_rows import OutcomeRows
from freshet.runtime.artifacts import fetch_small, publish_small
from freshet.runtime.bus.protocol import Bus

_COLUMNS: Final = {
    "prediction_offset": "<i8",
    "predicted_ms": "<i8",
    "labelled_ms": "<i8",
    "answer": "<i2",
    "label": "<i2",
    "truth": "<f8",
    "weight": "i1",
    "flags": "u1",
    "values": "<f4",
}
"""What learning takes, and how it is written."""
_ROW_BYTES: Final = 50
"""Of all but the values, with the partition."""
_OVERHEAD_BYTES: Final = 8192


class RowArchive:
    """Publishes rows; a piece that this process has published it does not publish again."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def publish(self, stretch: Stretch, from_row: int, bus: Bus) -> str:
        """Publish the rows from `from_row` to the end of the stretch; the digest of their list.

        Some rows before them come along, if the stretch has them. Raises RetriableError and FatalError.
        """
        pieces = dict(_pieces(stretch, from_row))
        digests = {first_row: digest_of(piece) for first_row, piece in pieces.items()}
        told = {"end_row": stretch.end_row, "pieces": digests, "classes": stretch.rows.scores.shape[1]}
        listed = json.dumps(told, sort_keys=True).encode()
        new = [pieces[first_row] for first_row, digest in digests.items() if digest not in self._known]
        with closing(bus.producer()) as producer:
            publish_small(producer, [*new, listed])
        self._known.update(digests.values())
        return digest_of(listed)


def aligned(from_row: int, width: int) -> int:
    """The row from which on rows have to be read, so that the first piece is a whole one."""
    return from_row - from_row % _piece_rows(width)


def archived(digest: str, bus: Bus) -> Stretch:
    """The rows of the list of this digest. Raises ModelError if the topic does not hold them all, and RetriableError.

    Blocks while the whole topic of artifacts is read.
    """
    told = json.loads(fetch_small(bus, [digest])[digest])
    pieces = sorted((int(first_row), name) for first_row, name in told["pieces"].items())
    found = fetch_small(bus, [name for _, name in pieces])
    parts = [_read(found[name], int(told["classes"])) for _, name in pieces]
    rows = [rows for rows, _ in parts]
    joined = OutcomeRows.joined(rows, width=rows[0].values.shape[1], classes=int(told["classes"]))
    return Stretch(pieces[0][0], joined, np.concatenate([partition for _, partition in parts]))


def _piece_rows(width: int) -> int:
    """A power of two, as large as one record of an artifact takes."""
    most = (CHUNK_BYTES - _OVERHEAD_BYTES) // (_ROW_BYTES + 4 * width)
    return 1 << max(most.bit_length() - 1, 0)


def _pieces(stretch: Stretch, from_row: int) -> Iterator[tuple[int, bytes]]:
    """By the number of its first row, each piece."""
    size = _piece_rows(stretch.rows.values.shape[1])
    first = max(aligned(from_row, stretch.rows.values.shape[1]), stretch.first_row)
    while first < stretch.end_row:
        end = min(first - first % size + size, stretch.end_row)
        yield first, _written(stretch, first - stretch.first_row, end - stretch.first_row)
        first = end


def _written(stretch: Stretch, begin: int, end: int) -> bytes:
    """An uncompressed .npz, which holds no time: the same rows are the same bytes."""
    columns: dict[str, Any] = {
        name: np.ascontiguousarray(getattr(stretch.rows, name)[begin:end], kind) for name, kind in _COLUMNS.items()
    }
    file = io.BytesIO()
    np.savez(file, partition=stretch.partition[begin:end].astype("<i4"), **columns)
    return file.getvalue()


def _read(piece: bytes, classes: int) -> tuple[OutcomeRows, Any]:
    with np.load(io.BytesIO(piece), allow_pickle=False) as file:
        columns: dict[str, Any] = {name: file[name] for name in _COLUMNS}
        partition = file["partition"].astype(np.int64)
    wide = {name: column if column.dtype.kind == "f" else column.astype(np.int64) for name, column in columns.items()}
    nothing = np.zeros(len(partition), np.int64)
    others = ("label_offset", "features_offset", "event_time_ms", "claimed_ms", "version", "epoch", "fallback")
    rest: dict[str, Any] = dict.fromkeys((*others, "revision"), nothing)
    scores = np.full((len(partition), classes), np.nan, np.float32)
    return OutcomeRows(("",), **wide, **rest, scores=scores), partition
