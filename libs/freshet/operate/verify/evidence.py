"""What the topics say, as columns: the judge's only input. No Python object is kept for a record of a data topic."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, fields, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from freshet.contracts.arrays import Bools, Ints
from freshet.contracts.messages import Cutover
from freshet.contracts.position import Position
from freshet.ledger.ledger import PipelineLedger
from freshet.operate.verify.places import NOTHING, looked_up, offsets_of, partitions_of

if TYPE_CHECKING:
    from freshet.trust.trusted_keys import TrustedKeys

EMPTIED: Final = 2**62
"""Stands for the time of the first record of a partition of which retention has left none."""


class Life(IntEnum):
    """Which life of its input topic an answer belongs to; a topic that is deleted and made anew begins another one."""

    PRESENT = 0
    UNSAID = 1
    """It was written by a release that did not say, or the broker does not tell its topics' ids."""
    EARLIER = 2


class Told(IntEnum):
    """What came of comparing an answer with the record that it answers."""

    SAME = 0
    OTHER = 1
    NOT_THERE = -1
    """The record is not at hand."""
    UNREADABLE = -2
    """It is there, but cannot be decoded here."""


def _no_flags() -> Bools:
    return np.zeros(0, dtype=bool)


@dataclass(slots=True)
class Inputs:
    """The judged records of an input topic, by ascending id, and how far its group has committed."""

    ids: Ints = field(default_factory=NOTHING.copy)
    times_ms: Ints = field(default_factory=NOTHING.copy)
    """When the broker got each, in the order of the ids."""
    lows: dict[int, int] = field(default_factory=dict)
    """Where what is judged begins, by partition: these partitions exist, and no other."""
    expired: int = 0
    """Offsets that retention has taken from what would be judged; transaction markers count too."""
    committed: dict[int, int] = field(default_factory=dict)
    metadata: dict[int, str] = field(default_factory=dict)
    standing: dict[int, int] = field(default_factory=dict)
    """Committed offsets that were the same before and after the outputs were read: nobody moves them just now."""
    ends: dict[int, int] = field(default_factory=dict)
    """The topic's end, by partition, as read after all that."""
    of_earlier_life: dict[int, int] = field(default_factory=dict)
    """Committed offsets that are void, because they belong to an earlier life of the topic, by partition."""
    named: set[str] = field(default_factory=set)
    """The ids of the topic that committed offsets name."""
    behind_open: dict[int, int] = field(default_factory=dict)
    """Offsets that nobody can read yet because of an open transaction of whoever writes here, by partition."""


@dataclass(slots=True)
class Answers:
    """Records of an output topic: where they are, and which input they answer. All columns are of equal length.

    Within an output partition, ids ascend; the others are 64-bit hashes (see `hashes`) where they stand for text.
    """

    role: str
    ids: Ints = field(default_factory=NOTHING.copy)
    inputs: Ints = field(default_factory=NOTHING.copy)
    """NOWHERE for a place that no topic can have."""
    lives: Ints = field(default_factory=NOTHING.copy)
    """See `Life`; of the input topic."""

    def take(self, rows: Ints | Bools) -> Self:
        """These rows of all columns."""
        columns = {column.name: getattr(self, column.name) for column in fields(self)}
        taken: dict[str, Any] = {name: has[rows] for name, has in columns.items() if isinstance(has, np.ndarray)}
        return replace(self, **taken)


@dataclass(slots=True)
class Letters(Answers):
    """Dead letters of one input topic."""

    others: Ints = field(default_factory=NOTHING.copy)
    """1 where the letter holds other bytes than its record, 0 where the same, -1 where the record is not at hand."""


@dataclass(slots=True)
class Keyed(Answers):
    """Answers to records of producers: they are about entities, and have them as their keys."""

    entities: Ints = field(default_factory=NOTHING.copy)
    other_keys: Bools = field(default_factory=_no_flags)
    """Which have another key than their entity."""


@dataclass(slots=True)
class Labels(Keyed):
    """Answers of ingestion to feedback."""

    said: Ints = field(default_factory=NOTHING.copy)
    """One number for all that the label repeats of its feedback; see `places.mixed`."""
    others: Ints = field(default_factory=NOTHING.copy)
    """See `Told`: whether that is what the feedback says."""


@dataclass(slots=True)
class Vectors(Keyed):
    """Answers of ingestion to events: feature vectors."""

    event_ids: Ints = field(default_factory=NOTHING.copy)
    topics: Ints = field(default_factory=NOTHING.copy)
    """The id of the events topic that each names."""
    event_times_ms: Ints = field(default_factory=NOTHING.copy)
    spec_versions: Ints = field(default_factory=NOTHING.copy)
    widths: Ints = field(default_factory=NOTHING.copy)
    """Number of values."""
    others: Ints = field(default_factory=NOTHING.copy)
    """See `Told`: whether event id, entity and time are those of the event."""


@dataclass(slots=True)
class Predictions(Keyed):
    """Answers of inference to feature vectors."""

    event_ids: Ints = field(default_factory=NOTHING.copy)
    topics: Ints = field(default_factory=NOTHING.copy)
    """The id of the events topic that each names."""
    event_times_ms: Ints = field(default_factory=NOTHING.copy)
    sources: Ints = field(default_factory=NOTHING.copy)
    """The event that each names."""
    source_lives: Ints = field(default_factory=NOTHING.copy)
    """See `Life`; of the events topic."""
    epochs: Ints = field(default_factory=NOTHING.copy)
    fallbacks: Ints = field(default_factory=NOTHING.copy)
    versions: Ints = field(default_factory=NOTHING.copy)
    """Index in `names`."""
    labels: Ints = field(default_factory=NOTHING.copy)
    highest: Ints = field(default_factory=NOTHING.copy)
    """Index of the highest score, the first of equals; -1 without scores."""
    widths: Ints = field(default_factory=NOTHING.copy)
    """Number of scores."""
    not_finite: Bools = field(default_factory=_no_flags)
    """Which hold a score that is no finite number."""
    arms: Ints = field(default_factory=NOTHING.copy)
    other_lives: Mapping[str, int] = field(default_factory=dict)
    """How many there are by the id of the features topic that they name, where that is not the present one."""
    names: Sequence[str] = ()


@dataclass(slots=True)
class Output:
    """What is known of an output topic beside its records that could be read."""

    partitions: int = 0
    records: int = 0
    foreign: Ints = field(default_factory=NOTHING.copy)
    """Records that are none of Freshet's."""
    kept_since_ms: dict[int, int] = field(default_factory=dict)
    """By partitions of which retention has taken something that was wanted: the time of the first record left."""
    hidden: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Partitions with a transaction that stayed open: first and last offset that no reader can see."""
    proven: dict[int, int] | None = None
    """By partition: whatever lies below was committed before any output was read, and so was all that came before it.
    None: everything."""

    def proves(self, ids: Ints) -> Bools:
        """Which of these records prove that all that was answered before them is in the evidence."""
        if self.proven is None:
            return np.ones(len(ids), dtype=bool)
        return offsets_of(ids) < looked_up(self.proven, partitions_of(ids), 0)


@dataclass(frozen=True, slots=True)
class Demand:
    """That only signed models may answer."""

    life: str
    """Which life of the pipeline this is; epochs name it."""
    keys: "TrustedKeys | None"
    """Whose signatures count; None where no trust file was given."""
    later: bool = False
    """Whether there was a specification that did not demand it yet."""


@dataclass(slots=True)
class History:
    """What the control topics say about one pipeline."""

    ledger: PipelineLedger = field(default_factory=lambda: PipelineLedger(""))
    """What the topics say, and where they contradict themselves."""
    cutovers: Sequence[Cutover] = ()
    """All of the serving lane and the present life of the features topic; two under one key are a breach."""
    earlier_cutovers: int = 0
    """Those of earlier lives of the features topic."""
    cutover_topics: Set[str] = frozenset()
    """The ids of the features topic that cut-overs of any life name."""
    feature_names: Sequence[str] = ()
    """All features of the newest specification."""
    spec_widths: Mapping[int, int] = field(default_factory=dict)
    """By the version of a feature specification: how many features it has."""
    first_specs: Mapping[str, int] = field(default_factory=dict)
    """By version: the first feature specification that has all its inputs. One that is not here needs none."""
    demand: Demand | None = None
    """None where unsigned models may answer."""
    foreign: Sequence[str] = ()
    """Sentences about records that a stranger wrote beside signed ones, and that `ledger` is without."""


@dataclass(slots=True)
class Evidence:
    """Everything that is judged. Outputs were read after the committed offsets, inputs after the outputs."""

    events: Inputs
    feedback: Inputs
    features_read: Inputs
    features: Vectors
    labels: Labels
    predictions: Predictions
    letters: Mapping[str, Letters]
    """By the role of the input topic."""
    outputs: Mapping[str, Output]
    """By role; control topics too."""
    history: History
    patience_s: float = 0.0
    """For how long it was waited for open transactions to end."""
    entity_names: Mapping[int, str] = field(default_factory=dict)
    """Texts of entities that the judge will want to name."""
    registry_trouble: str = ""
    """Why a user's registry was not asked for the schemas of all events that have its ids."""


def position(cutover: Cutover) -> Position:
    """The place in history that a cut-over moves to."""
    return Position(cutover.epoch, cutover.fallback)
