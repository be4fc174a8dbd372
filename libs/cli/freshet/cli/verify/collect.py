"""Reads the evidence off the topics, as any read_committed consumer sees them.

The order of reading makes a running pipeline judgeable: committed offsets first, then outputs, then what explains them,
then inputs. So whatever was committed past must be among the outputs, and whatever was answered must be explained and
asked.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from freshet.cli.control import read
from freshet.cli.verify.evidence import Answers, Evidence, Inputs, Predictions, Vectors, identity
from freshet.contracts.arrays import Ints
from freshet.contracts.codec import Decoder, Strings
from freshet.contracts.errors import ContractError
from freshet.contracts.messages import Cutover, Manifest, ModelVersion, PipelineRecord, Rollout
from freshet.contracts.pipeline import PipelineSpec
from freshet.contracts.schemas import current_schema
from freshet.runtime import dead_letters
from freshet.runtime.bus import Bus, Committed, Place
from freshet.runtime.reading import everything

_SOURCE: Final = ("source_partition", "source_offset")
_NEVER: Final = 2**31
"""No specification has this number, which is an int on the wire."""

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
    control = _control(bus, pipeline)
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
        cutovers=[cutover for cutover in control.cutovers if cutover.lane == "serve" and cutover.topic_id == topic_id],
        rollouts=list(control.rollouts.values()),
        first_specs=_first_specs(control.pipelines, control.manifests),
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


@dataclass(slots=True)
class _Read:
    """An output topic's records: where they are, their keys, and the columns that were asked for."""

    ids: Ints
    entities: list[bytes]
    numbers: dict[str, Ints]
    texts: dict[str, list[str]]

    def place(self, of: str) -> Ints:
        """Identities of the records that `{of}_partition` and `{of}_offset` name."""
        return identity(self.numbers[f"{of}_partition"], self.numbers[f"{of}_offset"])


def _answers(bus: Bus, role: str, record: str, numbers: Sequence[str], texts: Sequence[str] = ()) -> _Read:
    """Decode an output topic. What Freshet itself wrote must be readable: anything else is a finding of its own."""
    decoder = Decoder(current_schema(record))
    ids: list[Ints] = []
    entities: list[bytes] = []
    found: dict[str, list[Ints]] = {name: [] for name in numbers}
    found_texts: dict[str, list[str]] = {name: [] for name in texts}
    for batch in everything(bus, role):
        decoded = decoder.decode(batch.values)
        if decoded.bad:
            bad = decoded.bad[0]
            raise ContractError(
                f"{role} {batch.partitions[bad.row]}/{batch.offsets[bad.row]} is not a {record}: {bad.detail} "
                "Somebody else writes to this topic; `freshet topic tail` shows it."
            )
        ids.append(identity(batch.partitions, batch.offsets))
        entities += [key or b"" for key in batch.keys]
        for name in numbers:
            found[name].append(np.asarray(decoded.columns[name]).astype(np.int64))
        for name in texts:
            column = decoded.columns[name]
            assert isinstance(column, Strings)
            found_texts[name] += column.tolist()
    return _Read(_joined(ids), entities, {name: _joined(parts) for name, parts in found.items()}, found_texts)


def _features(bus: Bus) -> Vectors:
    found = _answers(bus, "features", "FeatureVector", (*_SOURCE, "spec_version"))
    return Vectors("features", found.ids, found.place("source"), found.entities, found.numbers["spec_version"])


def _labels(bus: Bus) -> Answers:
    found = _answers(bus, "labels", "Label", _SOURCE)
    return Answers("labels", found.ids, found.place("source"), found.entities)


def _predictions(bus: Bus) -> Predictions:
    asked = (*_SOURCE, "features_partition", "features_offset", "epoch", "fallback")
    found = _answers(bus, "predictions", "Prediction", asked, ["version"])
    return Predictions(
        "predictions",
        found.ids,
        found.place("features"),
        found.entities,
        epochs=found.numbers["epoch"],
        fallbacks=found.numbers["fallback"],
        versions=found.texts["version"],
        sources=found.place("source"),
    )


def _dead(bus: Bus) -> dict[str, Ints]:
    found: dict[str, list[tuple[int, int]]] = {}
    for batch in everything(bus, dead_letters.ROLE):
        for record in batch.records:
            origin = dead_letters.origin(record.headers())
            if origin is not None:
                found.setdefault(origin[0], []).append(origin[1:])
    return {role: identity(*np.array(places, dtype=np.int64).T) for role, places in found.items()}


@dataclass(slots=True)
class _Control:
    """What the control topics say about one pipeline."""

    cutovers: list[Cutover] = field(default_factory=list)
    """All that the topic still holds, since two under one key are a breach."""
    rollouts: dict[str, Rollout] = field(default_factory=dict)
    """Each epoch as it is now."""
    pipelines: list[PipelineRecord] = field(default_factory=list)
    manifests: dict[str, Manifest] = field(default_factory=dict)
    """By version; the first that was given to it, as inference takes it."""


def _control(bus: Bus, pipeline: str) -> _Control:
    found = _Control()
    for fact in read(bus, "cutovers", "rollouts", "pipelines", "models"):
        match fact.message:
            case Cutover(pipeline=name) if name == pipeline:
                found.cutovers.append(fact.message)
            case Rollout(pipeline=name) if name == pipeline:
                found.rollouts[fact.key] = fact.message
            case PipelineRecord(pipeline=name) if name == pipeline:
                found.pipelines.append(fact.message)
            case ModelVersion(pipeline=name, version=version) if name == pipeline and version:
                found.manifests.setdefault(version, fact.message.manifest)
    return found


def _first_specs(pipelines: Iterable[PipelineRecord], manifests: Mapping[str, Manifest]) -> dict[str, int]:
    """See `Evidence`. Specifications only append, so a later one has what an earlier one had."""
    firsts: dict[str, int] = {}
    for record in pipelines:
        spec = PipelineSpec.parse(record.spec)
        for name in spec.feature_names:
            firsts[name] = min(spec.features.version, firsts.get(name, _NEVER))
    return {
        version: max((firsts.get(name, _NEVER) for name in manifest.inputs), default=0)
        for version, manifest in manifests.items()
    }


def _joined(parts: list[Ints]) -> Ints:
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
