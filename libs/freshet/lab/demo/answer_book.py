"""What was answered and labelled, read off the topics as it comes: the other end of what a stream sends."""

import time
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Final, NamedTuple, Self

from freshet.avro import Ragged, Strings
from freshet.avro.control import decode
from freshet.avro.framed import FramedReader
from freshet.contracts.batch import Batch
from freshet.contracts.messages import Outcomes
from freshet.operate.operate_error import LocalError
from freshet.outcomes.outcome_rows import FIRST, KNOWN_BEFORE, OutcomeRows
from freshet.pipeline import PipelineSpec
from freshet.runtime.bus.protocol import Bus, RetriableError

_ROLES: Final = ("predictions", "dead-letters", "outcomes")
_MAX_BYTES: Final = 4 << 20
_READ_RECORDS: Final = 5_000
_READ_S: Final = 0.2
_PATIENCE_S: Final = 120.0


class Answer(NamedTuple):
    """One prediction: of which event, by which version, and what it says (a class; of a regression its number)."""

    event: str
    version: str
    said: str


class LoggedRow(NamedTuple):
    """One row of the labelled log: which prediction it is about, and when that and its label were written."""

    partition: int
    offset: int
    known_before: bool
    predicted_ms: int
    labelled_ms: int


class AnswerBook:
    """Predictions, dead letters and the labelled log of one pipeline. Some 300 bytes an event; not thread-safe."""

    def __init__(self, bus: Bus, spec: PipelineSpec) -> None:
        self._reader = bus.reader(_ROLES)
        self._predictions = FramedReader.of("Prediction", max_bytes=_MAX_BYTES)
        self._classes = bool(spec.target.classes)
        self.answers: dict[tuple[int, int], Answer] = {}
        """By partition and offset of the prediction."""
        self.log: list[LoggedRow] = []
        """In its order."""
        self._events: set[str] = set()
        self._letters = self._labelled = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()

    def wait_answered(self, events: int) -> None:
        """Until so many events have a prediction or a dead letter. Raises LocalError if that takes two minutes."""
        self._wait(f"answers to {events:,} events", lambda: len(self.answers) + self._letters >= events)

    def wait_labelled(self, events: Collection[str]) -> None:
        """Until the labels of these events, so far as they have predictions, are in the labelled log; LocalError."""
        expected = len(self._events.intersection(events))
        self._wait(f"{expected:,} labels to meet their predictions", lambda: self._labelled >= expected)

    def _wait(self, what: str, enough: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while not enough():
            if time.monotonic() > deadline:
                raise LocalError(f"waited {_PATIENCE_S:.0f} s in vain for {what}; the services' logs may say why.")
            try:
                for batch in self._reader.read(_READ_RECORDS, _READ_S):
                    self._take(batch)
            except RetriableError:
                time.sleep(_READ_S)

    def _take(self, batch: Batch) -> None:
        match batch.role:
            case "predictions":
                self._take_predictions(batch)
            case "outcomes":
                for value in batch.values:
                    self._take_outcomes(decode("outcomes", value or b""))
            case _:
                self._letters += len(batch)

    def _take_predictions(self, batch: Batch) -> None:
        rows = self._predictions.read(batch.values)
        events, versions, labels, scores = (rows.columns[name] for name in ("event_id", "version", "label", "scores"))
        assert isinstance(events, Strings)
        assert isinstance(versions, Strings)
        assert isinstance(labels, Strings)
        assert isinstance(scores, Ragged)
        said = labels.tolist() if self._classes else [repr(value) for value in scores.matrix(1)[:, 0].tolist()]
        places = zip(batch.partitions[rows.at].tolist(), batch.offsets[rows.at].tolist(), strict=True)
        for place, event, version, text in zip(places, events.tolist(), versions.tolist(), said, strict=True):
            self.answers[place] = Answer(event, version, text)
            self._events.add(event)

    def _take_outcomes(self, record: object) -> None:
        assert isinstance(record, Outcomes)
        rows = OutcomeRows.of(record)
        columns = (rows.prediction_offset, rows.flags, rows.predicted_ms, rows.labelled_ms)
        for offset, flags, predicted_ms, labelled_ms in zip(*(column.tolist() for column in columns), strict=True):
            self._labelled += bool(flags & FIRST)
            known = bool(flags & KNOWN_BEFORE)
            self.log.append(LoggedRow(record.partition, offset, known, predicted_ms, labelled_ms))
