"""Predictions as columns."""

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np

from freshet.avro import Column, Columns, Ragged
from freshet.avro.framed import FramedReader
from freshet.client.text_arrays import joined, text_array
from freshet.contracts.arrays import Ints
from freshet.contracts.batch import Batch
from freshet.operate.event_values import plain
from freshet.runtime.bus.protocol import Bus, LogReader, Place, RetriableError

ROLE: Final = "predictions"
Since = datetime | timedelta | int | Mapping[int, int] | None
"""A moment (a datetime, or milliseconds since 1970), a stretch of time before now, offsets by partition, or None for
the beginning."""

_READ_ROWS: Final = 10_000
_POLL_S: Final = 0.5
_MAX_BYTES: Final = 4 << 20
_TEXTS: Final = ("event_id", "entity", "label", "version")
_NUMBERS: Final = ("epoch", "fallback", "source_partition", "source_offset")


class Predictions(dict[str, Any]):
    """Columns of predictions by name, numpy arrays of one length.

    Text: `event_id`, `entity`, `label`, `version`, as `str_`, or as `object` where one text is so long that numpy would
    fill memory with padding for the others. Times in milliseconds (datetime64): `event_time`, and `answered_at`
    by the broker's clock. `scores`: float32 (n, classes), or (n, 1) for a value. Whole numbers: `epoch`, `fallback`,
    `partition`, `offset`, and `source_partition`, `source_offset` of the event.
    """

    def __init__(self, columns: Mapping[str, Any], following: Mapping[int, int]) -> None:
        super().__init__(columns)
        self.next = dict(following)
        """Where to go on, by partition: pass it as `since` to read what comes after these."""


def read_predictions(bus: Bus, outputs: int, since: Since, limit: int | None, timeout_s: float) -> Predictions:
    """See `Client.predictions`; `outputs` is how many scores a prediction has."""
    starts = _starts(bus, since, time.time_ns() // 1_000_000)
    reader = bus.reader([ROLE], {Place(ROLE, partition): offset for partition, offset in starts.items()})
    following, parts = dict(starts), []
    framed = FramedReader.of("Prediction", max_bytes=_MAX_BYTES)
    try:
        for batch in _batches(reader, limit, timeout_s):
            following |= {partition: last + 1 for partition, (_, last) in batch.spans.items()}
            parts.append(prediction_columns(batch, framed, outputs))
    finally:
        reader.close()
    names = parts[0].keys() if parts else ()
    empty = prediction_columns(Batch(ROLE, []), framed, outputs) if not parts else {}
    return Predictions(empty or {name: joined([part[name] for part in parts]) for name in names}, following)


def _starts(bus: Bus, since: Since, now_ms: int) -> dict[int, int]:
    lows = {partition: span.low for partition, span in bus.spans(ROLE).items()}
    if since is None:
        return lows
    if isinstance(since, Mapping):
        return lows | {int(partition): max(offset, lows.get(partition, 0)) for partition, offset in since.items()}
    if isinstance(since, timedelta):
        since = now_ms - since // timedelta(milliseconds=1)
    if isinstance(since, datetime):
        moment = since if since.tzinfo else since.replace(tzinfo=UTC)
        since = round(moment.timestamp() * 1000)
    return bus.offsets_at(ROLE, since)


def _batches(reader: LogReader, limit: int | None, timeout_s: float) -> Iterator[Batch]:
    """Without a limit: up to the ends of now. With one: so many rows, waited for until the time is over."""
    deadline = time.monotonic() + timeout_s
    left = limit
    while (limit is None and not reader.caught_up()) or (limit is not None and left != 0):
        wait_s = deadline - time.monotonic()
        if wait_s <= 0:
            if limit is None:
                raise RetriableError(
                    f"not all predictions could be read within {timeout_s:g} s: give it a longer timeout_s."
                )
            return
        for batch in reader.read(_READ_ROWS if left is None else min(left, _READ_ROWS), min(wait_s, _POLL_S)):
            left = None if left is None else left - len(batch)
            yield batch


def prediction_columns(batch: Batch, framed: FramedReader, outputs: int) -> dict[str, Any]:
    """One batch's columns, see `Predictions`; a record that is none of the pipeline (a stranger's) is left out.

    `outputs` is how many scores a prediction has.
    """
    at, columns = _read(batch, framed, outputs)
    return {
        **{name: _texts(columns, name) for name in _TEXTS},
        "event_time": _whole(columns, "event_time").astype("datetime64[ms]"),
        "scores": _scores(columns, outputs),
        **{name: _whole(columns, name) for name in _NUMBERS},
        "partition": batch.partitions[at].astype(np.int64),
        "offset": batch.offsets[at],
        "answered_at": batch.timestamps_ms[at].astype("datetime64[ms]"),
    }


def _read(batch: Batch, framed: FramedReader, outputs: int) -> tuple[Ints, Columns | None]:
    """Which records are predictions with so many scores, and what they hold; None where there are none."""
    if not len(batch):
        return np.zeros(0, np.int64), None
    rows = framed.read(batch.values)
    scores = rows.columns["scores"]
    assert isinstance(scores, Ragged)
    fits = scores.lengths == outputs
    if fits.all():
        return rows.at, rows.columns
    at = rows.at[fits]
    return at, framed.read([batch.values[row] for row in at.tolist()]).columns if at.size else None


def _texts(columns: Columns | None, name: str) -> Any:
    return text_array(plain(columns[name]) if columns else [])


def _whole(columns: Columns | None, name: str) -> Ints:
    return np.array(columns[name] if columns else [], np.int64)


def _scores(columns: Columns | None, outputs: int) -> Any:
    column: Column | None = columns["scores"] if columns else None
    return np.array(plain(column) if column is not None else [], np.float32).reshape(-1, outputs)
