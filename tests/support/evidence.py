"""What a small pipeline leaves on its topics when all went well: the ground in which tests plant breaches."""

from collections.abc import Iterable
from dataclasses import fields

import numpy as np

from freshet.cli.verify.evidence import (
    Answers,
    Evidence,
    Inputs,
    Predictions,
    Vectors,
    identity,
    offsets_of,
    partitions_of,
)
from freshet.contracts.arrays import Ints
from freshet.contracts.messages import Cutover, Rollout, Share
from freshet.contracts.position import Position

OLD, NEW = "1.0.0", "2.0.0"

_ENTITIES = {b"a": 0, b"b": 1, b"c": 0}
"""And the features partition that each is keyed to."""
_EVENTS = [(partition, offset) for offset in range(6) for partition in (0, 1)]
"""In the order they arrive; the entities take turns by offset."""
_SPOILED = (1, 5)
_UNANSWERABLE = (0, 6)
"""A vector that its model could not score."""


def at(partition: int, offset: int) -> int:
    """The identity of one record."""
    return int(ids((partition, offset))[0])


def ids(*places: tuple[int, int]) -> Ints:
    """The identities of records, given as (partition, offset)."""
    columns = np.array(places, dtype=np.int64).reshape(-1, 2)
    return identity(columns[:, 0], columns[:, 1])


def cutover(partition: int, first_offset: int, epoch: int, fallback: int = 0) -> Cutover:
    """A cut-over of the serving lane."""
    return Cutover(
        pipeline="p",
        lane="serve",
        topic_id="t",
        partition=partition,
        first_offset=first_offset,
        epoch=epoch,
        fallback=fallback,
        cause="rollout",
    )


def rollout(epoch: int, version: str, understudy: str = "") -> Rollout:
    """A live epoch."""
    return Rollout(
        pipeline="p",
        epoch=epoch,
        phase="live",
        table=(Share(version=version, share=10_000),),
        salt="p",
        understudies={version: understudy} if understudy else {},
        cause="test",
    )


def good() -> Evidence:
    """Twelve events, eleven vectors, ten predictions, three labels; every record ends as an answer or a dead letter.

    Vectors of partition 0 are answered under epoch 1, from offset 4 on under 2; those of partition 1 under 2 from 1 on,
    and from 3 on by its understudy. Committed is everything.
    """
    features = _features()
    cutovers = [cutover(0, 0, 1), cutover(0, 4, 2), cutover(1, 0, 1), cutover(1, 1, 2), cutover(1, 3, 2, 1)]
    return Evidence(
        events=Inputs(
            ids=np.sort(ids(*_EVENTS)), times_ms=_times(len(_EVENTS)), lows={0: 0, 1: 0}, committed={0: 6, 1: 6}
        ),
        feedback=Inputs(ids=ids((0, 0), (0, 1), (1, 0)), times_ms=_times(3), lows={0: 0, 1: 0}, committed={0: 2, 1: 1}),
        features_read=Inputs(
            ids=features.ids,
            times_ms=_times(len(features.ids)),
            lows={0: 0, 1: 0},
            committed={0: 7, 1: 4},
            metadata={0: "e=2 f=0", 1: "e=2 f=1"},
        ),
        features=features,
        labels=Answers("labels", ids((0, 0), (1, 0)), ids((0, 1), (1, 0)), [b"a", b"b"]),
        predictions=_predictions(features, cutovers),
        kept_since_ms={},
        dead={"events": ids(_SPOILED), "features": ids(_UNANSWERABLE), "feedback": ids((0, 0))},
        cutovers=cutovers,
        rollouts=[rollout(1, OLD), rollout(2, NEW, understudy=OLD)],
        first_specs={OLD: 1, NEW: 1},
    )


def _times(records: int) -> Ints:
    return 1000 * np.arange(records)


def _features() -> Vectors:
    """Keyed by entity, in the order of arrival."""
    written: dict[int, list[tuple[int, int]]] = {0: [], 1: []}
    names = list(_ENTITIES)
    for event in _EVENTS:
        if event != _SPOILED:
            written[_ENTITIES[_entity(event, names)]].append(event)
    places = [(home, offset) for home, events in written.items() for offset in range(len(events))]
    events = [event for some in written.values() for event in some]
    entities = [_entity(event, names) for event in events]
    return Vectors("features", ids(*places), ids(*events), entities, np.ones(len(events), np.int64))


def _entity(event: tuple[int, int], names: list[bytes]) -> bytes:
    return names[event[1] % len(names)]


def _predictions(features: Vectors, cutovers: list[Cutover]) -> Predictions:
    rows = np.flatnonzero(features.ids != at(*_UNANSWERABLE)).tolist()
    inputs = features.ids[rows]
    places = zip(partitions_of(inputs).tolist(), offsets_of(inputs).tolist(), strict=True)
    positions = [_position(cutovers, *place) for place in places]
    return Predictions(
        "predictions",
        ids=inputs,
        inputs=inputs,
        entities=[features.entities[row] for row in rows],
        epochs=np.array([epoch for epoch, _ in positions], dtype=np.int64),
        fallbacks=np.array([fallback for _, fallback in positions], dtype=np.int64),
        versions=[NEW if position == (2, 0) else OLD for position in positions],
        sources=features.inputs[rows],
    )


def _position(cutovers: list[Cutover], partition: int, offset: int) -> Position:
    return max(
        Position(cut.epoch, cut.fallback)
        for cut in cutovers
        if cut.partition == partition and cut.first_offset <= offset
    )


def row_of(answers: Answers, partition: int, offset: int) -> int:
    """The row that answers this input."""
    return int(np.flatnonzero(answers.inputs == at(partition, offset))[0])


def choose(answers: Answers, rows: Iterable[int]) -> None:
    """Let an output topic hold these rows, each partition's in this order; a row named twice is there twice."""
    chosen = list(rows)
    for column in fields(answers):
        values = getattr(answers, column.name)
        if isinstance(values, np.ndarray):
            setattr(answers, column.name, values[chosen])
        elif isinstance(values, list):
            setattr(answers, column.name, [values[row] for row in chosen])
    partitions = partitions_of(answers.ids)
    offsets = [int((partitions[:row] == partition).sum()) for row, partition in enumerate(partitions.tolist())]
    answers.ids = identity(partitions, np.array(offsets, dtype=np.int64))


def swap(answers: Answers, one: int, other: int) -> None:
    """Let two rows change places."""
    rows = list(range(len(answers.ids)))
    rows[one], rows[other] = other, one
    choose(answers, rows)


def claim(predictions: Predictions, row: int, **values: object) -> None:
    """Let one prediction say something else: epochs, fallbacks, versions, inputs or sources."""
    for name, value in values.items():
        column = getattr(predictions, name)
        changed = column.copy() if isinstance(column, np.ndarray) else list(column)
        changed[row] = value
        setattr(predictions, name, changed)
