"""Evidence written down by hand: the bytes on the topics that `freshet verify` would collect it from."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from freshet.cli.verify.evidence import Answers, Evidence, Inputs, identity, offsets_of, partitions_of
from freshet.contracts.arrays import Ints
from freshet.contracts.codec import Column, Encoder, Ragged, Strings
from freshet.contracts.control import encode
from freshet.contracts.logic import DeadLetter
from freshet.contracts.schemas import current_schema, schema_id
from freshet.contracts.topic_id import UNKNOWN_BYTES
from freshet.contracts.topics import TopicNames
from freshet.runtime.bus import Bus, Committed, Place, Send, Transaction
from freshet.runtime.dead_letters import dead_letters
from freshet.runtime.reading import everything
from support.buses import until
from support.inference import model, specification

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

    Offsets come out as the evidence has them, if its identities count up from 0 in each partition. Each specification
    appends a feature, and a version reads all features of the first specification that it needs.
    """
    topic_id = bus.topic_id("features")
    for role, inputs in (("events", evidence.events), ("feedback", evidence.feedback)):
        _send(bus, role, inputs.ids, [b"k"] * len(inputs.ids), [b"whatever"] * len(inputs.ids))
    specs: dict[str, Column] = {"spec_version": evidence.features.spec_versions.astype(np.int32)}
    _answers(bus, evidence.features, "FeatureVector", _sources(evidence.features.inputs) | specs)
    _answers(bus, evidence.labels, "Label", _sources(evidence.labels.inputs))
    predictions = evidence.predictions
    named: dict[str, Column] = {
        "version": Strings.from_list(list(predictions.versions)),
        "epoch": predictions.epochs,
        "fallback": predictions.fallbacks.astype(np.int32),
        "features_partition": partitions_of(predictions.inputs).astype(np.int32),
        "features_offset": offsets_of(predictions.inputs),
    }
    _answers(bus, predictions, "Prediction", _sources(predictions.sources) | named)
    for role, dead in evidence.dead.items():
        _dead(bus, names, role, dead)
    producer = bus.producer()
    for cut in evidence.cutovers:
        here = cut.model_copy(update={"pipeline": names.pipeline, "topic_id": topic_id})
        key = f"{here.pipeline}/{here.lane}/{topic_id}/{here.partition}/{here.first_offset}"
        producer.send(Send("cutovers", [key.encode()], [encode(here)]))
    for rollout in evidence.rollouts:
        here_too = rollout.model_copy(update={"pipeline": names.pipeline})
        producer.send(Send("rollouts", [f"{names.pipeline}/{rollout.epoch}".encode()], [encode(here_too)]))
    features = [f"feature_{number}" for number in range(1, max(evidence.first_specs.values(), default=0) + 1)]
    for number in range(1, len(features) + 1):
        record = specification(features[:number], number).model_copy(update={"pipeline": names.pipeline})
        producer.send(Send("pipelines", [f"{names.pipeline}/{number}".encode()], [encode(record)]))
    for version, first in evidence.first_specs.items():
        admitted = model(version, features[:first]).model_copy(update={"pipeline": names.pipeline})
        producer.send(Send("models", [f"{names.pipeline}/{version}".encode()], [encode(admitted)]))
    producer.close()
    _commit(bus, "ingestion", {"events": evidence.events, "feedback": evidence.feedback})
    _commit(bus, "inference", {"features": evidence.features_read})


def _sources(ids: Ints) -> dict[str, Column]:
    return {"source_partition": partitions_of(ids).astype(np.int32), "source_offset": offsets_of(ids)}


def _answers(bus: Bus, answers: Answers, record: str, columns: Mapping[str, Column]) -> None:
    """Records of an output topic; what no judge looks at is filled with something."""
    count = len(answers.ids)
    fillers: dict[str, Callable[[], Column]] = {
        "string": lambda: Strings.repeat("x", count),
        "int": lambda: np.zeros(count, np.int32),
        "long": lambda: np.zeros(count, np.int64),
        "fixed": lambda: Strings.repeat(UNKNOWN_BYTES, count),
        "TopicId": lambda: Strings.repeat(UNKNOWN_BYTES, count),
        "array": lambda: Ragged.from_matrix(np.zeros((count, 2), np.float32)),
    }
    schema = current_schema(record)
    filled = dict(columns)
    for field in schema["fields"]:
        kind = field["type"] if isinstance(field["type"], str) else field["type"]["type"]
        if field["name"] not in filled:
            filled[field["name"]] = fillers[kind]()
    _send(bus, answers.role, answers.ids, answers.entities, Encoder(schema, schema_id(record)).encode(filled))


def _send(bus: Bus, role: str, ids: Ints, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
    producer = bus.producer()
    offsets = producer.send(Send(role, keys, values, partitions_of(ids).tolist()))
    producer.close()
    assert offsets == offsets_of(ids).tolist(), f"{role} came out otherwise than the evidence has it"


def _dead(bus: Bus, names: TopicNames, role: str, dead: Ints) -> None:
    """Dead letters as the loop writes them, one by one: a record may have two."""
    producer = bus.producer()
    for batch in everything(bus, role):
        found = identity(batch.partitions, batch.offsets)
        for record in dead.tolist():
            rows = np.flatnonzero(found == record)
            letter = DeadLetter(rows, "input_test", ["a test says so"] * len(rows))
            producer.send(dead_letters(batch, letter, names, "test", "0"))
    producer.close()


def _commit(bus: Bus, service: str, inputs: Mapping[str, Inputs]) -> None:
    """Commit offsets and metadata as a member of the service's group."""
    offsets = {
        Place(role, partition): Committed(offset, here.metadata.get(partition, ""))
        for role, here in inputs.items()
        for partition, offset in here.committed.items()
    }
    member = bus.consumer(service, list(inputs), None)
    until(lambda: member.collect(1, 1, 0.1) is None and member.owned())
    producer = bus.transactional_producer(service, "hand")
    producer.open()
    producer.commit(Transaction(offsets=offsets, membership=member.membership()))
    producer.close()
    member.close()
