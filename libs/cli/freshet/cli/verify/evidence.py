"""What the topics say, as columns: the judge's only input."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from freshet.contracts.arrays import Ints, Ints32
from freshet.contracts.messages import Cutover, Rollout
from freshet.contracts.position import Position

_OFFSET_BITS: Final = 44  # 2^44 records in a partition, 2^19 partitions
_OFFSET_MASK: Final = (1 << _OFFSET_BITS) - 1


def identity(partitions: Ints | Ints32, offsets: Ints) -> Ints:
    """One number for each (partition, offset): sorts by partition, then offset."""
    return (partitions.astype(np.int64) << _OFFSET_BITS) | offsets.astype(np.int64)


def partitions_of(ids: Ints) -> Ints:
    """The partitions in these identities."""
    return ids >> _OFFSET_BITS


def offsets_of(ids: Ints) -> Ints:
    """The offsets in these identities."""
    return ids & _OFFSET_MASK


def place(identifier: int) -> str:
    """`partition/offset` of an identity, for people."""
    return f"{identifier >> _OFFSET_BITS}/{identifier & _OFFSET_MASK}"


def _none() -> Ints:
    return np.empty(0, dtype=np.int64)


@dataclass(slots=True)
class Inputs:
    """Records of an input topic: identity and time of each; how far its group has committed, with which metadata."""

    ids: Ints = field(default_factory=_none)
    times_ms: Ints = field(default_factory=_none)
    """When the broker got each, in the order of the ids."""
    lows: dict[int, int] = field(default_factory=dict)
    committed: dict[int, int] = field(default_factory=dict)
    metadata: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True)
class Answers:
    """Records of an output topic, in log order of each partition: where they are, and which input they answer."""

    role: str
    ids: Ints = field(default_factory=_none)
    inputs: Ints = field(default_factory=_none)
    entities: Sequence[bytes] = ()


@dataclass(slots=True)
class Vectors(Answers):
    """Answers of ingestion to events, with the feature specification that made each."""

    spec_versions: Ints = field(default_factory=_none)


@dataclass(slots=True)
class Predictions(Answers):
    """Answers of inference, with the position in history and the event that they name."""

    epochs: Ints = field(default_factory=_none)
    fallbacks: Ints = field(default_factory=_none)
    versions: Sequence[str] = ()
    sources: Ints = field(default_factory=_none)


@dataclass(slots=True)
class Evidence:
    """Everything that is judged. Outputs were read after the committed offsets, inputs after the outputs."""

    events: Inputs
    feedback: Inputs
    features_read: Inputs
    features: Vectors
    labels: Answers
    predictions: Predictions
    dead: Mapping[str, Ints]
    """Identities of dead-lettered records by the role of their input topic."""
    kept_since_ms: Mapping[str, int]
    """By the role of an output topic: all that was written after this is still there. -1: all that was ever written."""
    cutovers: Sequence[Cutover]
    rollouts: Sequence[Rollout]
    first_specs: Mapping[str, int]
    """By model version: the first feature specification that has all its inputs. One that is not here needs none."""


def position(cutover: Cutover) -> Position:
    """The place in history that a cut-over moves to."""
    return Position(cutover.epoch, cutover.fallback)
