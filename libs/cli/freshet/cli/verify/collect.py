"""Reads the evidence off the topics, as any read_committed consumer sees them.

The order of reading makes a running pipeline judgeable: committed offsets first, then outputs, then what explains them,
then inputs. So whatever was committed past must be among the outputs, and whatever was answered must be explained and
asked.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from freshet.cli.verify.evidence import Answers, Evidence, Inputs, Predictions, identity
from freshet.contracts.arrays import Ints
from freshet.contracts.batch import Batch
from freshet.contracts.codec import Columns, Decoder, Strings
from freshet.contracts.errors import ContractError
from freshet.contracts.messages import Cutover, Rollout
from freshet.contracts.schemas import current_schema
from freshet.runtime import dead_letters
from freshet.runtime.bus import Bus, Committed, Place
from freshet.runtime.feed import Feed
from freshet.runtime.reading import everything

GroupOffsets = Callable[[str, str], Mapping[int, Committed]]
"""Committed offsets of a service's group on a role's topic, by partition."""


def collect(bus: Bus, pipeline: str, committed: GroupOffsets) -> Evidence:
    """Read everything that `judge` needs. Takes time and memory in proportion to the retained records."""
    inputs = {
        role: _group(committed(service, role))
        for role, service in (("events", "ingestion"), ("feedback", "ingestion"), ("features", "inference"))
    }
    predictions, features, labels = _predictions(bus), _features(bus), _labels(bus)
    dead = _dead(bus)
    cutovers, rollouts = _control(bus, pipeline)
    topic_id = bus.topic_id("features")
    for role in ("features", "events", "feedback"):
        inputs[role].lows = {partition: span.low for partition, span in bus.spans(role).items()}
        inputs[role].ids, inputs[role].times_ms = _records(bus, role)
    return Evidence(
        events=inputs["events"],
        feedback=inputs["feedback"],
        features_read=inputs["features"],
        features=features,
        labels=labels,
        predictions=predictions,
        dead=dead,
        kept_since_ms={
            role: _kept_since_ms(bus, role) for role in ("predictions", "features", "labels", dead_letters.ROLE)
        },
        cutovers=[cutover for cutover in cutovers if cutover.lane == "serve" and cutover.topic_id == topic_id],
        rollouts=rollouts,
    )


def _group(offsets: Mapping[int, Committed]) -> Inputs:
    return Inputs(
        committed={partition: at.offset for partition, at in offsets.items()},
        metadata={partition: at.metadata for partition, at in offsets.items()},
    )


def _records(bus: Bus, role: str) -> tuple[Ints, Ints]:
    """Identities and times of an input topic's records."""
    batches = list(everything(bus, role))
    ids = [identity(batch.partitions, batch.offsets) for batch in batches]
    return _joined(ids), _joined([batch.timestamps_ms for batch in batches])


def _kept_since_ms(bus: Bus, role: str) -> int:
    """See `Evidence`: the latest time of the first records of those partitions of which retention has taken some.

    Looked up after the outputs were read, so that what expires in between counts as expired. A partition that is empty
    by now tells nothing.
    """
    starts = {Place(role, partition): span.low for partition, span in bus.spans(role).items() if span.low > 0}
    firsts_ms: dict[int, int] = {}
    for batch in everything(bus, role, starts) if starts else ():
        for partition in batch.spans:
            firsts_ms.setdefault(partition, int(batch.timestamps_ms[batch.rows(partition)[0]]))
        if len(firsts_ms) == len(starts):
            break
    return max(firsts_ms.values(), default=-1)


def _answers(bus: Bus, role: str, record: str) -> Iterator[tuple[Batch, Columns]]:
    """An output topic, decoded. What Freshet itself wrote must be readable: anything else is a finding of its own."""
    decoder = Decoder(current_schema(record))
    for batch in everything(bus, role):
        decoded = decoder.decode(batch.values)
        if decoded.bad:
            bad = decoded.bad[0]
            raise ContractError(
                f"{role} {batch.partitions[bad.row]}/{batch.offsets[bad.row]} is not a {record}: {bad.detail} "
                "Somebody else writes to this topic; `freshet topic tail` shows it."
            )
        yield batch, decoded.columns


def _features(bus: Bus) -> Answers:
    return _with_sources(Answers("features"), _answers(bus, "features", "FeatureVector"))


def _labels(bus: Bus) -> Answers:
    return _with_sources(Answers("labels"), _answers(bus, "labels", "Label"))


def _with_sources(answers: Answers, found: Iterator[tuple[Batch, Columns]]) -> Answers:
    ids, inputs, entities = [], [], []
    for batch, columns in found:
        ids.append(identity(batch.partitions, batch.offsets))
        inputs.append(identity(_number(columns, "source_partition"), _number(columns, "source_offset")))
        entities += [key or b"" for key in batch.keys]
    answers.ids, answers.inputs, answers.entities = _joined(ids), _joined(inputs), entities
    return answers


def _predictions(bus: Bus) -> Predictions:
    found = Predictions("predictions")
    ids, inputs, sources, epochs, fallbacks = [], [], [], [], []
    versions: list[str] = []
    entities: list[bytes] = []
    for batch, columns in _answers(bus, "predictions", "Prediction"):
        ids.append(identity(batch.partitions, batch.offsets))
        inputs.append(identity(_number(columns, "features_partition"), _number(columns, "features_offset")))
        sources.append(identity(_number(columns, "source_partition"), _number(columns, "source_offset")))
        epochs.append(_number(columns, "epoch"))
        fallbacks.append(_number(columns, "fallback").astype(np.int64))
        versions += _text(columns, "version")
        entities += [key or b"" for key in batch.keys]
    found.ids, found.inputs, found.sources = _joined(ids), _joined(inputs), _joined(sources)
    found.epochs, found.fallbacks = _joined(epochs), _joined(fallbacks)
    found.versions, found.entities = versions, entities
    return found


def _dead(bus: Bus) -> dict[str, Ints]:
    found: dict[str, list[tuple[int, int]]] = {}
    for batch in everything(bus, dead_letters.ROLE):
        for record in batch.records:
            origin = dead_letters.origin(record.headers())
            if origin is not None:
                found.setdefault(origin[0], []).append(origin[1:])
    return {role: identity(*np.array(places, dtype=np.int64).T) for role, places in found.items()}


def _control(bus: Bus, pipeline: str) -> tuple[list[Cutover], list[Rollout]]:
    """All cut-overs that the topic still holds, since two under one key are a breach; and each epoch as it is now."""
    feed = Feed(bus.reader(["cutovers", "rollouts"]))
    cutovers: list[Cutover] = []
    rollouts: dict[str, Rollout] = {}
    try:
        while not feed.caught_up():
            for fact in feed.facts(timeout_s=1.0):
                match fact.message:
                    case Cutover(pipeline=name) if name == pipeline:
                        cutovers.append(fact.message)
                    case Rollout(pipeline=name) if name == pipeline:
                        rollouts[fact.key] = fact.message
    finally:
        feed.close()
    return cutovers, list(rollouts.values())


def _number(columns: Columns, name: str) -> NDArray[Any]:
    return np.asarray(columns[name])


def _text(columns: Columns, name: str) -> list[str]:
    column = columns[name]
    assert isinstance(column, Strings)
    return column.tolist()


def _joined(parts: list[Ints]) -> Ints:
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
