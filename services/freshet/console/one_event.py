"""One event on its way: event, features, answer, label, outcome, and the trainings that could learn from it.

Everything here is looked up by place, or in the newest records of a topic: no topic is read from its beginning.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from freshet.avro.control import decode
from freshet.console.core.private_fields import MASK, PrivateFields
from freshet.contracts.batch import Batch
from freshet.contracts.errors import ContractError
from freshet.contracts.messages import Outcomes
from freshet.operate.answer_parts import answer_parts
from freshet.operate.connection import Connection
from freshet.operate.explanation import CONTROL_ROLES, Explanation, explain, mentioning, predictions_of
from freshet.operate.facts import read
from freshet.operate.records import Readable, hexdump
from freshet.operate.training_runs import Run, runs_of
from freshet.outcomes.outcome_rows import OutcomeRows
from freshet.runtime.bus.protocol import Bus, Place
from freshet.runtime.lookups import Lookups
from freshet.runtime.reading import everything

NEWEST: Final = 20_000
"""An event is looked for by its id among so many of the newest predictions of each partition; so is its label."""
_NEWEST_OUTCOMES: Final = 5_000
_MOST_LESSONS: Final = 5
_NOT_SHOWN: Final = {"not shown": "It cannot be decoded, and may hold private fields."}


@dataclass(frozen=True, slots=True)
class Found:
    """A record of a topic, as a page shows it."""

    topic: str
    partition: int
    offset: int
    at_ms: int
    fields: Mapping[str, Any]
    hex: tuple[str, ...]
    """Lines of its bytes; none where they would show what is private."""


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """The row of the labelled log that an answer and its label became."""

    row: int
    """Of its partition."""
    answered: int
    """Number of the class that was answered; of a regression without meaning."""
    true: int
    offset: int
    """Of its record."""
    at_ms: int

    @property
    def right(self) -> bool:
        """Whether the answer was the label."""
        return self.answered == self.true


@dataclass(frozen=True, slots=True)
class EventScreen:
    """One answer to one event, and what belongs to it; what is not retained is None."""

    event_id: str
    event: Found | None
    features: Found | None
    values: Mapping[str, Any]
    contributions: Mapping[str, float]
    why_no_contributions: str
    prediction: Found
    explanation: Explanation
    label: Found | None
    outcome: OutcomeRow | None
    lessons: tuple[Run, ...]


def event_screens(
    connection: Connection, pipeline: str, event_id: str, names: tuple[str, ...], private: PrivateFields
) -> list[EventScreen]:
    """Every answer to the event of that id; raises OperateError if none of the newest predictions is one."""
    bus = connection.bus(pipeline)
    rows = predictions_of(bus, event_id, newest(bus, "predictions", NEWEST))
    facts, reader = read(bus, *CONTROL_ROLES), connection.readable(pipeline)
    runs = [run for run in runs_of(facts, pipeline) if run.last.phase == "finished"]
    screens = []
    with closing(Lookups(bus, ["events", "features"])) as lookups:
        for row in rows:
            told, answer = explain(row, facts, pipeline), row["value"]
            outcome = _outcome(bus, row)
            sources = (
                (Place("events", answer["source_partition"]), answer["source_offset"]),
                (Place("features", answer["features_partition"]), answer["features_offset"]),
            )
            event, features = (_at(reader, lookups, place, at, private) for place, at in sources)
            parts = answer_parts(bus, row, told.model, names)
            added = parts.contributions.features if parts.contributions is not None else {}
            screens.append(
                EventScreen(
                    event_id=answer["event_id"],
                    event=event,
                    features=features,
                    values={name: MASK if private.hides_feature(name) else at for name, at in parts.values.items()},
                    contributions={name: at for name, at in added.items() if not private.hides_feature(name)},
                    why_no_contributions=parts.why_not,
                    prediction=_found("predictions", row, private.shown("predictions", answer), ()),
                    explanation=told,
                    label=_label(bus, reader, row["partition"], event_id, private),
                    outcome=outcome,
                    lessons=tuple(run for run in runs if outcome and outcome.offset <= run.last.through)[
                        :_MOST_LESSONS
                    ],
                )
            )
    return screens


def newest(bus: Bus, role: str, count: int) -> dict[Place, int]:
    """Where the newest records of each partition begin."""
    return {Place(role, at): max(span.low, span.end - count) for at, span in bus.spans(role).items()}


def _at(reader: Readable, lookups: Lookups, place: Place, offset: int, private: PrivateFields) -> Found | None:
    batch = lookups.find(place, np.array([offset]))
    rows = reader.rows(batch)
    if not rows:
        return None
    row, shown = rows[0], () if private else tuple(hexdump(batch.values[0] or b""))
    return _found(place.role, row, private.shown(place.role, row["value"]), shown)


def _found(topic: str, row: Mapping[str, Any], fields: Mapping[str, Any] | None, shown: tuple[str, ...]) -> Found:
    return Found(topic, row["partition"], row["offset"], row["timestamp_ms"], fields or _NOT_SHOWN, shown)


def _label(bus: Bus, reader: Readable, partition: int, event_id: str, private: PrivateFields) -> Found | None:
    """The newest label of the event: labels lie in the partition of their entity, as its predictions do."""
    starts = {place: at for place, at in newest(bus, "labels", NEWEST).items() if place.partition == partition}
    found = [
        row
        for batch in everything(bus, "labels", starts)
        for row in reader.rows(mentioning(batch, event_id.encode()))
        if isinstance(row["value"], dict) and row["value"].get("event_id") == event_id
    ]
    if not found:
        return None
    return _found("labels", found[-1], private.shown("labels", found[-1]["value"]), ())


def _outcome(bus: Bus, prediction: Mapping[str, Any]) -> OutcomeRow | None:
    """The row of the labelled log, if it is among the newest ones."""
    for batch in everything(bus, "outcomes", newest(bus, "outcomes", _NEWEST_OUTCOMES)):
        for offset, at_ms, record in _records(batch):
            if record.partition != prediction["partition"]:
                continue
            rows = OutcomeRows.of(record)
            found = np.flatnonzero(rows.prediction_offset == prediction["offset"])
            if found.size:
                at = int(found[-1])
                return OutcomeRow(record.first_row + at, int(rows.answer[at]), int(rows.label[at]), offset, at_ms)
    return None


def _records(batch: Batch) -> Iterator[tuple[int, int, Outcomes]]:
    for offset, at_ms, value in zip(batch.offsets.tolist(), batch.timestamps_ms.tolist(), batch.values, strict=True):
        if value is None:
            continue
        try:
            record = decode("outcomes", value)
        except ContractError:
            continue
        if isinstance(record, Outcomes):
            yield offset, at_ms, record
