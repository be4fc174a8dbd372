"""Evidence written down by hand: the bytes on the topics that `freshet verify` would collect it from."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from freshet.avro import Column, Encoder, Ragged, Strings
from freshet.avro.control import encode
from freshet.avro.own_schemas import current_schema, event_schema_id, schema_id
from freshet.contracts.arrays import Ints
from freshet.contracts.logic import DeadLetter
from freshet.contracts.messages import Message
from freshet.contracts.position import stamped
from freshet.contracts.topic_id import UNKNOWN_BYTES, to_bytes, to_text
from freshet.contracts.topic_table import TopicNames
from freshet.operate.verify.collect import GroupOffsets
from freshet.operate.verify.evidence import (
    Answers,
    Evidence,
    History,
    Inputs,
    Keyed,
    Labels,
    Letters,
    Life,
    Predictions,
    Told,
    Vectors,
)
from freshet.operate.verify.places import hashed, identity, offsets_of, partitions_of
from freshet.runtime.bus.memory.partition_log import At
from freshet.runtime.bus.protocol import Bus, Committed, Place, Send, Transaction
from freshet.runtime.dead_letter_records import dead_letters
from freshet.runtime.reading import everything
from support.buses import MemoryWorld, until
from support.evidence import CLASSES, THEIRS
from support.inference import PIPELINE, specification
from support.signed import demanding

ROLES = (
    "events",
    "feedback",
    "features",
    "labels",
    "predictions",
    "dead-letters",
    "pipelines",
    "models",
    "cutovers",
    "rollouts",
)


def write(evidence: Evidence, bus: Bus, names: TopicNames) -> None:
    """Write records, dead letters, control records and committed offsets; the topics are there and empty.

    Control records as they are, since a signature is of the pipeline's name too.

    Offsets come out as the evidence has them, if its identities count up from 0 in each partition. Each specification
    appends a feature, and a version reads all features of the first specification that it needs.
    """
    assert names.pipeline == PIPELINE
    topic_ids = {role: bus.topic_id(role) for role in ("events", "feedback", "features")}
    topic_id = topic_ids["features"]
    for role, inputs, said in (
        ("events", evidence.events, events_of(evidence.features)),
        ("feedback", evidence.feedback, _feedback_of(evidence.labels)),
    ):
        values = [said.get(identifier, b"whatever") for identifier in inputs.ids.tolist()]
        _send(bus, role, inputs.ids, [b"k"] * len(inputs.ids), values)
    _answers(bus, evidence.features, "FeatureVector", _vectors(evidence.features, topic_ids["events"]))
    _answers(bus, evidence.labels, "Label", _labelled(evidence.labels, topic_ids["feedback"]))
    predictions = evidence.predictions
    _answers(bus, predictions, "Prediction", _predicted(predictions, topic_ids))
    for role, letters in evidence.letters.items():
        _dead(bus, names, role, letters)
    producer = bus.producer()
    for cut in evidence.history.cutovers:
        here = cut.model_copy(update={"topic_id": topic_id})
        key = f"{here.pipeline}/{here.lane}/{topic_id}/{here.partition}/{here.first_offset}"
        producer.send(Send("cutovers", [key.encode()], [encode(here)]))
    for role, key, message in _decided(evidence.history):
        producer.send(Send(role, [key.encode()], [encode(message)]))
    producer.close()
    _commit(bus, "ingestion", {"events": evidence.events, "feedback": evidence.feedback}, topic_ids)
    _commit(bus, "inference", {"features": evidence.features_read}, topic_ids)


def _decided(history: History) -> Iterator[tuple[str, str, Message]]:
    """What the registry and `freshet apply` wrote, signatures too: role, key and record."""
    ledger = history.ledger
    for rollout in (each for epoch in ledger.epochs.records for each in ledger.epochs.told(epoch)):
        yield "rollouts", f"{rollout.pipeline}/{rollout.epoch}", rollout
    features = [f"feature_{number}" for number in range(1, max(history.first_specs.values(), default=0) + 1)]
    for number in range(1, len(features) + 1):
        schema = {"event_schema": json.dumps(_EVENT), "event_schema_id": event_schema_id(_EVENT)}
        plain = specification(features[:number], number).model_copy(update=schema)
        record = demanding(plain, history.demand.life) if history.demand else plain
        yield "pipelines", f"{record.pipeline}/{number}", record
    for version, first in history.first_specs.items():
        for known in ledger.versions.told(version):
            read = known.manifest.model_copy(update={"inputs": tuple(features[:first])})
            yield "models", f"{known.pipeline}/{version}", known.model_copy(update={"manifest": read})


def answer(bus: Bus, vectors: Vectors, sources: Ints) -> None:
    """Write these vectors as answers to these events, at the front of their topic."""
    made = replace(vectors, inputs=sources)
    _answers(bus, made, "FeatureVector", _vectors(made, bus.topic_id("events")))


TEXTS: Final = {
    hashed(text): text
    for text in (
        *"abc",
        *CLASSES,
        "nonsense",
        "somebody else",
        *(f"{partition}-{offset}" for partition in (0, 1) for offset in range(20)),
    )
}
"""What a hash in the evidence stands for."""
_EVENT: Final = {
    "type": "record",
    "name": "Event",
    "fields": [
        {"name": "event_id", "type": "string"},
        {"name": "card_id", "type": "string"},
        {"name": "event_time", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}
_ANOTHER: Final = bytes(range(16))
"""Id of a topic that is there no more."""


def committed_of(world: MemoryWorld) -> GroupOffsets:
    """Asks the groups of a cluster in memory."""

    def committed(service: str, role: str) -> dict[int, Committed]:
        group = world.cluster.group(world.names.group(service))
        known = {partition: group.committed(At(world.names.topic(role), partition)) for partition in (0, 1)}
        return {partition: at for partition, at in known.items() if at is not None}

    return committed


def _strings(column: Ints) -> Strings:
    return Strings.from_list([TEXTS[text] for text in column.tolist()])


def _topics(lives: Ints, topic_id: str) -> Strings:
    """Topic ids as records have them."""
    said = {Life.PRESENT: to_bytes(topic_id), Life.UNSAID: UNKNOWN_BYTES, Life.EARLIER: _ANOTHER}
    return Strings.from_list([said[Life(life)] for life in lives.tolist()])


def _sources(inputs: Ints, answers: Answers, topic_id: str) -> dict[str, Column]:
    return {
        "source_partition": partitions_of(inputs).astype(np.int32),
        "source_offset": offsets_of(inputs),
        "source_topic": _topics(answers.lives, topic_id),
    }


def _about(answers: Vectors | Predictions) -> dict[str, Column]:
    return {
        "entity": _strings(answers.entities),
        "event_id": _strings(answers.event_ids),
        "event_time": answers.event_times_ms,
    }


def events_of(features: Vectors) -> dict[int, bytes]:
    """The events that these vectors were made of, by identity; another entity where a vector says something else."""
    entities = [TEXTS[entity] + "!" * other for entity, other in _either(features.entities, features.others)]
    columns: dict[str, Column] = {
        "card_id": Strings.from_list(entities),
        "event_id": _strings(features.event_ids),
        "event_time": features.event_times_ms,
    }
    values = Encoder(_EVENT, event_schema_id(_EVENT)).encode(columns)
    return dict(zip(features.inputs.tolist(), values, strict=True))


def _feedback_of(labels: Labels) -> dict[int, bytes]:
    """The feedback that these labels repeat; a later time where a label says something else."""
    columns: dict[str, Column] = {
        "entity": _strings(labels.entities),
        "labelled_at": labels.said + 1_000_000 * (labels.others == Told.OTHER),
    }
    values = encoded("Feedback", len(labels.ids), columns)
    return dict(zip(labels.inputs.tolist(), values, strict=True))


def _either(texts: Ints, others: Ints) -> list[tuple[int, bool]]:
    return list(zip(texts.tolist(), (others == Told.OTHER).tolist(), strict=True))


def _labelled(labels: Labels, topic_id: str) -> dict[str, Column]:
    about: dict[str, Column] = {"entity": _strings(labels.entities), "labelled_at": labels.said}
    return _sources(labels.inputs, labels, topic_id) | about


def _vectors(features: Vectors, topic_id: str) -> dict[str, Column]:
    specs: dict[str, Column] = {
        "spec_version": features.spec_versions.astype(np.int32),
        "values": Ragged(np.zeros(int(features.widths.sum()), np.float32), features.widths),
    }
    return _sources(features.inputs, features, topic_id) | _about(features) | specs


def _predicted(predictions: Predictions, topic_ids: Mapping[str, str]) -> dict[str, Column]:
    count = len(predictions.ids)
    scores = np.zeros((count, 2), np.float32)
    scores[np.arange(count), predictions.highest] = np.where(predictions.not_finite, np.nan, 1)
    of_events = np.where(predictions.topics == THEIRS, Life.PRESENT, Life.EARLIER)
    return (
        _sources(predictions.sources, predictions, topic_ids["events"])
        | _about(predictions)
        | {
            "source_topic": _topics(of_events, topic_ids["events"]),
            "version": Strings.from_list([predictions.names[code] for code in predictions.versions.tolist()]),
            "epoch": predictions.epochs,
            "fallback": predictions.fallbacks.astype(np.int32),
            "arm": predictions.arms.astype(np.int32),
            "label": _strings(predictions.labels),
            "scores": Ragged.from_matrix(scores),
            "features_partition": partitions_of(predictions.inputs).astype(np.int32),
            "features_offset": offsets_of(predictions.inputs),
            "features_topic": _topics(predictions.lives, topic_ids["features"]),
        }
    )


def _answers(bus: Bus, answers: Keyed, record: str, columns: Mapping[str, Column]) -> None:
    """Records of an output topic."""
    keyed = zip(answers.entities.tolist(), answers.other_keys.tolist(), strict=True)
    keys = [b"another" if other else TEXTS[entity].encode() for entity, other in keyed]
    _send(bus, answers.role, answers.ids, keys, encoded(record, len(keys), columns))


def encoded(record: str, count: int, columns: Mapping[str, Column]) -> Sequence[bytes]:
    """Framed records of ours; the fields that are not given are filled with something."""
    fillers: dict[str, Callable[[], Column]] = {
        "string": lambda: Strings.repeat("x", count),
        "int": lambda: np.zeros(count, np.int32),
        "long": lambda: np.zeros(count, np.int64),
        "array": lambda: Ragged.from_matrix(np.zeros((count, 2), np.float32)),
        "fixed": lambda: Strings.repeat(UNKNOWN_BYTES, count),
    }
    schema = current_schema(record)
    filled = dict(columns)
    for field in schema["fields"]:
        kind = field["type"] if isinstance(field["type"], str) else field["type"]["type"]
        if kind not in fillers:  # a named type that was declared before
            kind = "fixed"
        if field["name"] not in filled:
            filled[field["name"]] = fillers[kind]()
    return Encoder(schema, schema_id(record)).encode(filled)


def _send(bus: Bus, role: str, ids: Ints, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
    producer = bus.producer()
    offsets = producer.send(Send(role, keys, values, partitions_of(ids).tolist()))
    producer.close()
    assert offsets == offsets_of(ids).tolist(), f"{role} came out otherwise than the evidence has it"


def _dead(bus: Bus, names: TopicNames, role: str, letters: Letters) -> None:
    """Dead letters as the loop writes them, one by one: a record may have two. Some are to hold other bytes."""
    records = {}
    for batch in everything(bus, role):
        for row, identifier in enumerate(identity(batch.partitions, batch.offsets).tolist()):
            records[identifier] = (batch, row)
    producer = bus.producer()
    for identifier, other in zip(letters.inputs.tolist(), letters.others.tolist(), strict=True):
        batch, row = records[identifier]
        letter = DeadLetter(np.array([row]), "input_test", ["a test says so"])
        sent = dead_letters(batch, letter, names, "test", "0")
        headers = dict((sent.headers or [()])[0]) | {"freshet.topic_id": bus.topic_id(role).encode()}
        sent = replace(sent, headers=[list(headers.items())])
        producer.send(replace(sent, values=[b"other bytes"]) if other == 1 else sent)
    producer.close()


def _commit(bus: Bus, service: str, inputs: Mapping[str, Inputs], topic_ids: Mapping[str, str]) -> None:
    """Commit offsets and metadata as a member of the service's group."""
    offsets = {
        Place(role, partition): Committed(offset, stamped(here.metadata.get(partition, ""), topic_ids[role], offset))
        for role, here in inputs.items()
        for partition, offset in here.committed.items()
    }
    lost = {
        Place(role, partition): Committed(offset, stamped("", to_text(_ANOTHER), offset))
        for role, here in inputs.items()
        for partition, offset in here.of_earlier_life.items()
    }
    offsets |= lost
    member = bus.consumer(service, list(inputs), None)
    until(lambda: member.collect(1, 1, 0.1) is None and member.owned())
    producer = bus.transactional_producer(service, "hand")
    producer.open()
    producer.commit(Transaction(offsets=offsets, membership=member.membership()))
    producer.close()
    member.close()
