"""What a small pipeline leaves on its topics when all went well: the ground in which tests plant breaches."""

from collections.abc import Iterable, Sequence
from dataclasses import fields

import numpy as np

from freshet.contracts.arrays import Ints
from freshet.contracts.logic import Fact
from freshet.contracts.messages import Cutover, Rollout, Share
from freshet.contracts.position import Position
from freshet.ledger.ledger import PipelineLedger
from freshet.operate.verify.evidence import (
    Answers,
    Demand,
    Evidence,
    History,
    Inputs,
    Labels,
    Letters,
    Life,
    Output,
    Predictions,
    Vectors,
)
from freshet.operate.verify.places import hashed, identity, offsets_of, partitions_of
from freshet.trust.signing_key import SigningKey
from support.inference import PIPELINE, model
from support.signed import KeyRing, signed_epoch, signed_version

OLD, NEW = "1.0.0", "2.0.0"
RING = KeyRing()
"""The pipeline demands signatures, of these keys."""

_ENTITIES = {"a": 0, "b": 1, "c": 0}
"""And the features partition that each is keyed to."""
CLASSES = ("legit", "fraud")
_OUTPUTS = {"features": 11, "labels": 2, "predictions": 10, "dead-letters": 3}
"""And how many records each holds."""
CONTROL = ("cutovers", "rollouts", "pipelines", "models")
THEIRS = hashed(bytes(range(16)))
"""The id of the events topic, as a column has it."""
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
        pipeline=PIPELINE,
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
        pipeline=PIPELINE,
        epoch=epoch,
        phase="live",
        table=(Share(version=version, share=10_000),),
        salt=PIPELINE,
        understudies={version: understudy} if understudy else {},
        cause="test",
    )


def ledger(
    *rollouts: Rollout,
    artifacts: Sequence[tuple[str, str]] = ((OLD, OLD), (NEW, NEW)),
    builder: SigningKey = RING.builder,
    release: SigningKey = RING.release,
) -> PipelineLedger:
    """What the topics say after these epochs and artifacts, each a version and what its bytes are made from.

    All of them are signed, by these keys.
    """
    told = PipelineLedger(PIPELINE)
    models = [signed_version(model(version, ["feature_1"], digest_of), builder) for version, digest_of in artifacts]
    for message in (*models, *(signed_epoch(one, release, *models) for one in rollouts)):
        told.fold(Fact("", "", message))
    return told


def good() -> Evidence:
    """Twelve events, eleven vectors, ten predictions, three labels; every record ends as an answer or a dead letter.

    Vectors of partition 0 are answered under epoch 1, from offset 4 on under 2; those of partition 1 under 2 from 1 on,
    and from 3 on by its understudy. Committed is everything.
    """
    features = _features()
    cutovers = [cutover(0, 0, 1), cutover(0, 4, 2), cutover(1, 0, 1), cutover(1, 1, 2), cutover(1, 3, 2, 1)]
    versions = (OLD, NEW)
    return Evidence(
        events=Inputs(
            ids=np.sort(ids(*_EVENTS)),
            times_ms=_times(len(_EVENTS)),
            lows={0: 0, 1: 0},
            committed={0: 6, 1: 6},
            metadata={0: "", 1: ""},
        ),
        feedback=Inputs(
            ids=ids((0, 0), (0, 1), (1, 0)),
            times_ms=_times(3),
            lows={0: 0, 1: 0},
            committed={0: 2, 1: 1},
            metadata={0: "", 1: ""},
        ),
        features_read=Inputs(
            ids=features.ids,
            times_ms=_times(len(features.ids)),
            lows={0: 0, 1: 0},
            committed={0: 7, 1: 4},
            metadata={0: "e=2 f=0", 1: "e=2 f=1"},
        ),
        features=features,
        labels=Labels(
            "labels",
            ids((0, 0), (1, 0)),
            ids((0, 1), (1, 0)),
            lives_of(2),
            entities=_hashes("ab"),
            other_keys=np.zeros(2, bool),
            said=np.arange(2),
            others=np.zeros(2, np.int64),
        ),
        predictions=_predictions(features, cutovers),
        letters={
            "events": letters((1, 0), inputs=_SPOILED),
            "feedback": letters((0, 0), inputs=(0, 0)),
            "features": letters((0, 1), inputs=_UNANSWERABLE),
        },
        outputs={
            **{role: Output(partitions=2, records=records) for role, records in _OUTPUTS.items()},
            **{role: Output(partitions=1) for role in CONTROL},
        },
        history=History(
            cutovers=cutovers,
            ledger=ledger(rollout(1, OLD), rollout(2, NEW, understudy=OLD)),
            feature_names=("feature_1",),
            spec_widths={1: 1},
            first_specs=dict.fromkeys(versions, 1),
            demand=Demand("a1", RING.now),
        ),
        entity_names={hashed(name): name for name in _ENTITIES},
    )


def counted(evidence: Evidence) -> Evidence:
    """The same, where each output topic is said to hold the records that it has."""
    for answers in (evidence.features, evidence.labels, evidence.predictions):
        evidence.outputs[answers.role].records = len(answers.ids)
    evidence.outputs["dead-letters"].records = sum(len(one.ids) for one in evidence.letters.values())
    return evidence


def lives_of(rows: int) -> Ints:
    """So many answers of the present life."""
    return np.full(rows, Life.PRESENT, dtype=np.int64)


def letters(*places: tuple[int, int], inputs: tuple[int, int]) -> Letters:
    """Dead letters at these places, all for one input, with its bytes."""
    rows = len(places)
    return Letters("dead-letters", ids(*places), ids(*[inputs] * rows), lives_of(rows), np.zeros(rows, np.int64))


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
    return Vectors(
        "features",
        ids(*places),
        ids(*events),
        lives_of(len(events)),
        entities=_hashes(_entity(event, names) for event in events),
        other_keys=np.zeros(len(events), bool),
        event_ids=_hashes(f"{partition}-{offset}" for partition, offset in events),
        topics=np.full(len(events), THEIRS),
        event_times_ms=1000 * np.arange(len(events)),
        spec_versions=np.ones(len(events), np.int64),
        widths=np.ones(len(events), np.int64),
        others=np.zeros(len(events), np.int64),
    )


def _hashes(texts: Iterable[str]) -> Ints:
    return np.array([hashed(text) for text in texts], dtype=np.int64)


def _entity(event: tuple[int, int], names: list[str]) -> str:
    return names[event[1] % len(names)]


def _predictions(features: Vectors, cutovers: list[Cutover]) -> Predictions:
    rows = np.flatnonzero(features.ids != at(*_UNANSWERABLE))
    inputs = features.ids[rows]
    places = zip(partitions_of(inputs).tolist(), offsets_of(inputs).tolist(), strict=True)
    positions = [_position(cutovers, *place) for place in places]
    return Predictions(
        "predictions",
        ids=inputs,
        inputs=inputs,
        lives=lives_of(len(rows)),
        entities=features.entities[rows],
        other_keys=np.zeros(len(rows), bool),
        event_ids=features.event_ids[rows],
        topics=features.topics[rows],
        event_times_ms=features.event_times_ms[rows],
        sources=features.inputs[rows],
        source_lives=lives_of(len(rows)),
        epochs=np.array([epoch for epoch, _ in positions], dtype=np.int64),
        fallbacks=np.array([fallback for _, fallback in positions], dtype=np.int64),
        versions=np.array([int(position == (2, 0)) for position in positions], dtype=np.int64),
        labels=np.full(len(rows), hashed(CLASSES[1])),
        highest=np.ones(len(rows), np.int64),
        widths=np.full(len(rows), 2),
        not_finite=np.zeros(len(rows), bool),
        arms=np.zeros(len(rows), np.int64),
        names=[OLD, NEW],
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
    kept = answers.take(np.array(chosen, dtype=np.int64))
    for column in fields(answers):
        setattr(answers, column.name, getattr(kept, column.name))
    partitions = partitions_of(answers.ids)
    offsets = [int((partitions[:row] == partition).sum()) for row, partition in enumerate(partitions.tolist())]
    answers.ids = identity(partitions, np.array(offsets, dtype=np.int64))


def swap(answers: Answers, one: int, other: int) -> None:
    """Let two rows change places."""
    rows = list(range(len(answers.ids)))
    rows[one], rows[other] = other, one
    choose(answers, rows)


def claim(answers: Answers, row: int, **values: int) -> None:
    """Let one record say something else."""
    for name, value in values.items():
        column = getattr(answers, name).copy()
        column[row] = value
        setattr(answers, name, column)


def answered_by(predictions: Predictions, row: int, version: str) -> None:
    """Let one prediction name another version."""
    if version not in predictions.names:
        predictions.names = [*predictions.names, version]
    claim(predictions, row, versions=list(predictions.names).index(version))
