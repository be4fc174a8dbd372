"""Reads what becomes of events: one pipeline's predictions and dead letters, from the end, in one thread."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import structlog

from freshet.avro.framed import FramedReader
from freshet.client.one_row import Letter, letter_of
from freshet.client.predictions import prediction_columns
from freshet.contracts.batch import Batch, read_headers
from freshet.gateway.core.waiters import Position
from freshet.runtime.bus.protocol import Bus, BusError, Place

_ROLES: Final = ("predictions", "dead-letters")
_READ_ROWS: Final = 5_000
_POLL_S: Final = 0.2
_BACK_OFF_S: Final = 0.5
_MAX_BYTES: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class ReadAnswers:
    """What one read gave."""

    predictions: Mapping[str, Any] | None
    """Columns as `freshet.client.Predictions` has them."""
    letters: tuple[tuple[Position, Letter], ...]
    """Dead letters, by the position of the event that they are about."""


class AnswersReading(threading.Thread):
    """Hands on what it reads, and reads on only when that was taken: what is read is never piled up."""

    def __init__(self, bus: Bus, outputs: int, take: Callable[[ReadAnswers], object], stop: threading.Event) -> None:
        """Its place is fixed now: what is written from here on is read. Raises RetriableError."""
        super().__init__(name=f"answers-{id(self)}", daemon=True)
        starts = {Place(role, number): span.end for role in _ROLES for number, span in bus.spans(role).items()}
        self._reader = bus.reader(_ROLES, starts)
        self._outputs, self._take, self._ending = outputs, take, stop  # not _stop: Thread has one
        self._predictions = FramedReader.of("Prediction", max_bytes=_MAX_BYTES)
        self._features = FramedReader.of("FeatureVector", max_bytes=_MAX_BYTES)
        self._log, self._told_of_strangers = structlog.get_logger("gateway"), False

    def run(self) -> None:
        """Until it is told to stop. While Kafka is away, those who wait get no answer in time."""
        trouble = ""
        while not self._ending.is_set():
            try:
                batches = self._reader.read(_READ_ROWS, _POLL_S)
            except BusError as error:
                if not trouble:
                    self._log.warning("no_answers", error=str(error))
                trouble = str(error)
                self._ending.wait(_BACK_OFF_S)
                continue
            trouble = ""
            for batch in batches:
                try:
                    self._take(self._answers(batch))
                except Exception:  # whatever one batch holds, those behind it are read
                    self._log.exception("answers_left_out", role=batch.role, spans=batch.spans)
        self._reader.close()

    def _answers(self, batch: Batch) -> ReadAnswers:
        if batch.role != "predictions":
            return ReadAnswers(None, tuple(self._letters(batch)))
        columns = prediction_columns(batch, self._predictions, self._outputs)
        strangers = len(batch) - len(columns["offset"])
        if strangers and not self._told_of_strangers:
            self._told_of_strangers = True
            self._log.warning("no_predictions", records=strangers, spans=batch.spans)
        return ReadAnswers(columns, ())

    def _letters(self, batch: Batch) -> list[tuple[Position, Letter]]:
        """Those about events, or about features made of them; a letter holds the bytes of what it is about."""
        found = []
        for row, record in enumerate(batch.records):
            position = (int(batch.partitions[row]), int(batch.offsets[row]))
            (role, partition, offset), letter = letter_of(read_headers(record), position)
            if role == "features":
                source = self._source(batch.values[row])
                if source is not None:
                    found.append((source, letter))
            elif role == "events":
                found.append(((partition, offset), letter))
        return found

    def _source(self, value: bytes | None) -> Position | None:
        """Of which event these features were made; None if they cannot be read."""
        rows = self._features.read([value])
        if not rows.at.size:
            return None
        partition, offset = (int(np.asarray(rows.columns[f"source_{name}"])[0]) for name in ("partition", "offset"))
        return partition, offset
