"""One event through the topics: sent, and followed to its features and its prediction, or to its dead letter."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from freshet.avro import take
from freshet.avro.framed import FramedReader
from freshet.client.client_errors import NotAnsweredError
from freshet.contracts.batch import Batch, read_headers
from freshet.operate.event_values import plain
from freshet.operate.patience import missing_for_answer
from freshet.operate.roll_call import roll_call
from freshet.pipeline import PipelineSpec
from freshet.runtime import dead_letter_records
from freshet.runtime.bus.protocol import Bus, LogReader, Place, RetriableError

_ROLES: Final = ("features", "predictions", "dead-letters")
_READ_ROWS: Final = 5_000
_POLL_S: Final = 0.2
_SLOW_S: Final = 5.0
_FRESH_S: Final = 15.0
_MAX_BYTES: Final = 4 << 20

Position = tuple[int, int]
"""Partition and offset."""


@dataclass(frozen=True, slots=True)
class Letter:
    """Why an event was set aside, and where that is written: on `{p}.dead-letters`."""

    reason: str
    detail: str
    service: str
    position: Position


@dataclass(slots=True)
class Answer:
    """What became of one event: features and a prediction, or a dead letter, at the latest behind its features."""

    event_id: str
    entity: str
    event: Position
    """Where the event lies on `{p}.events`; the other positions are of their own topics."""
    features: dict[str, float] = field(default_factory=dict)
    """By name; NaN for no value. Empty until there are some."""
    features_at: Position | None = None
    label: str = ""
    """The class with the highest score; empty for a value."""
    scores: list[float] = field(default_factory=list)
    """One for each class in the pipeline's order, or the value."""
    version: str = ""
    epoch: int = 0
    fallback: bool = False
    """Whether the epoch's understudy answered."""
    prediction_at: Position | None = None
    letter: Letter | None = None

    @property
    def complete(self) -> bool:
        """Whether nothing more will come."""
        return self.letter is not None or (self.prediction_at is not None and self.features_at is not None)


class Follower:
    """Reads what is written about an event from before it is sent; `close` it."""

    def __init__(self, bus: Bus, spec: PipelineSpec) -> None:
        self._bus, self._spec = bus, spec
        starts = {Place(role, number): span.end for role in _ROLES for number, span in bus.spans(role).items()}
        self._reader: LogReader = bus.reader(_ROLES, starts)
        self._readers = {
            "features": FramedReader.of("FeatureVector", max_bytes=_MAX_BYTES),
            "predictions": FramedReader.of("Prediction", max_bytes=_MAX_BYTES),
        }
        self._letters: dict[tuple[str, int, int], Letter] = {}
        self._missing: list[str] = []
        self._called_s = -math.inf

    def follow(self, answer: Answer, timeout_s: float, on_slow: Callable[[str], object]) -> None:
        """Fill the answer in until it is complete. After 5 s `on_slow` is told, once, who is not there.

        Raises NotAnsweredError when the time is over, some seconds later if it must be heard first who is there.
        """
        began = time.monotonic()
        told = False
        while not answer.complete:
            waited_s = time.monotonic() - began
            if waited_s > timeout_s:
                raise NotAnsweredError(self._why(answer, waited_s))
            if waited_s > _SLOW_S and not told:
                on_slow(self._why(answer, waited_s))
                told = True
            for batch in self._read(min(_POLL_S, timeout_s)):
                self._take(batch, answer)
            places = [("events", *answer.event), *([("features", *answer.features_at)] if answer.features_at else [])]
            answer.letter = next((self._letters[place] for place in places if place in self._letters), None)

    def close(self) -> None:
        """Free the reader."""
        self._reader.close()

    def _read(self, timeout_s: float) -> list[Batch]:
        """What has come; nothing while Kafka does not answer, which passes."""
        try:
            return self._reader.read(_READ_ROWS, timeout_s)
        except RetriableError:
            time.sleep(timeout_s)
            return []

    def _take(self, batch: Batch, answer: Answer) -> None:
        if batch.role == "dead-letters":
            for row, record in enumerate(batch.records):
                place, letter = letter_of(read_headers(record), (record.partition(), int(batch.offsets[row])))
                self._letters[place] = letter
            return
        found = _row_of(self._readers[batch.role], batch, answer.event)
        if found is None:
            return
        position, values = found
        if batch.role == "features":
            answer.features_at = position
            answer.features = dict(zip(self._spec.feature_names, values["values"], strict=False))
            return
        answer.prediction_at = position
        answer.label, answer.scores, answer.version = values["label"], values["scores"], values["version"]
        answer.epoch, answer.fallback = int(values["epoch"]), bool(values["fallback"])

    def _who_is_missing(self) -> list[str]:
        """Asked again only after a while: the roll call may have to listen for beats for some seconds."""
        if time.monotonic() - self._called_s > _FRESH_S:
            try:
                called = roll_call(self._bus, "rollouts")
            except RetriableError as error:
                return [f"Kafka does not answer now: {error}"]
            self._missing, self._called_s = missing_for_answer(called, self._spec.pipeline), time.monotonic()
        return self._missing

    def _why(self, answer: Answer, waited_s: float) -> str:
        missing = self._who_is_missing()
        come = "its features are there, but no prediction" if answer.features_at else "it has no features"
        partition, offset = answer.event
        return (
            f"{come} after {waited_s:.0f} s (event {answer.event_id} at partition {partition}, offset {offset}). "
            f"{' '.join(missing) or 'All services beat: they are behind with their work, or only starting.'}"
        )


def _row_of(reader: FramedReader, batch: Batch, event: Position) -> tuple[Position, Mapping[str, Any]] | None:
    """The row that was made of this event, and where it lies."""
    rows = reader.read(batch.values)
    partitions, offsets = (np.asarray(rows.columns[f"source_{name}"]) for name in ("partition", "offset"))
    hits = np.flatnonzero((partitions == event[0]) & (offsets == event[1]))
    if not hits.size:
        return None
    at = int(rows.at[hits[-1]])
    values = {name: plain(take(column, hits[-1:]))[0] for name, column in rows.columns.items()}
    return (int(batch.partitions[at]), int(batch.offsets[at])), values


def letter_of(headers: Sequence[tuple[str, bytes | None]], position: Position) -> tuple[tuple[str, int, int], Letter]:
    """Which input a dead letter is about, and what it says; a stranger's record is about none."""
    told = {name: (value or b"").decode(errors="replace") for name, value in headers}
    letter = Letter(
        told.get("freshet.reason", ""), told.get("freshet.detail", ""), told.get("freshet.service", ""), position
    )
    return dead_letter_records.origin(headers) or ("", -1, -1), letter
