"""Reads the evidence off the topics, as any read_committed consumer sees them.

The order of reading makes a running pipeline judgeable: committed offsets first, then outputs, then what explains them,
then inputs. So whatever was committed past must be among the outputs, and whatever was answered must be explained and
asked.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from freshet.avro import Strings
from freshet.avro.framed import FramedReader
from freshet.contracts.arrays import Ints
from freshet.contracts.batch import Batch
from freshet.contracts.position import unstamped
from freshet.operate.foreign_ids import foreign_ids
from freshet.operate.verify import outputs
from freshet.operate.verify.control_history import CONTROL, read_history
from freshet.operate.verify.evidence import EMPTIED, Evidence, Inputs, Output, Vectors
from freshet.operate.verify.letters import Comparison, LetterReader
from freshet.operate.verify.order import scattered
from freshet.operate.verify.places import NOTHING, identity, looked_up, offsets_of, partitions_of
from freshet.operate.verify.repeated import Repeated, with_events, with_feedback
from freshet.operate.verify.visible import Horizon, Patience
from freshet.operate.verify.window import Window
from freshet.runtime import dead_letter_records
from freshet.runtime.bus.protocol import Bus, Committed, Place
from freshet.runtime.reading import everything

if TYPE_CHECKING:
    from freshet.trust.trusted_keys import TrustedKeys

_OUTPUTS: Final = ("predictions", "labels", dead_letter_records.ROLE, "features")
_GROUPS: Final = {"events": "ingestion", "feedback": "ingestion", "features": "inference"}
"""Which service reads each input topic."""
_NAMED: Final = 1
"""Scattered entities that the judge names."""

GroupOffsets = Callable[[str, str], Mapping[int, Committed]]
"""Committed offsets of a service's group on a role's topic, by partition."""


def collect(
    bus: Bus,
    pipeline: str,
    committed: GroupOffsets,
    *,
    since_ms: int | None = None,
    patience: Patience | None = None,
    keys: "TrustedKeys | None" = None,
    known_login: str = "",
) -> Evidence:
    """Read everything that `judge` needs, or what it needs to judge the inputs that the broker got since that time.

    `keys` are those whose signatures count; without them signatures are not judged.

    Takes time in proportion to the records, and about 350 bytes of memory for an event with all that came of it. Waits
    for transactions that are open, for as long as `patience` has. `known_login` is FRESHET_SCHEMA_REGISTRY, for events
    with the ids of a user's registry: see `ForeignIds`.
    """
    reading = _Reading(bus, committed, Window(bus, since_ms), patience or Patience())
    return reading.evidence(pipeline, keys, known_login)


class _Reading:
    """One reading of all topics."""

    def __init__(self, bus: Bus, committed: GroupOffsets, window: Window, patience: Patience) -> None:
        self._bus = bus
        self._window = window
        self._patience = patience
        self._ids = {role: bus.topic_id(role) for role in ("events", "feedback", "features")}
        self._committed = committed
        self._inputs = {role: _group(committed(service, role), self._ids[role]) for role, service in _GROUPS.items()}
        self._horizon = Horizon(bus, (*_OUTPUTS, *CONTROL))
        self._outputs = {role: Output(proven=self._horizon.proven[role]) for role in (*_OUTPUTS, *CONTROL)}

    def evidence(self, pipeline: str, keys: "TrustedKeys | None", known_login: str) -> Evidence:
        """Read in the one order that makes it judgeable."""
        predictions = outputs.predictions(*self._read("predictions"), self._ids["features"], self._ids["events"])
        labels = outputs.labels(*self._read("labels"), self._ids["feedback"])
        reader = LetterReader(self._ids)
        for batch in self._read(dead_letter_records.ROLE)[0]:
            reader.add(batch)
        letters = {role: reader.compared(role) for role in self._ids}
        self._outputs[dead_letter_records.ROLE].records = reader.records
        self._outputs[dead_letter_records.ROLE].foreign = reader.foreign()
        read = _Seen(letters["features"])
        batches, output = self._read("features")
        features = outputs.vectors(map(read.add, batches), output, self._ids["events"])
        for role in _OUTPUTS:
            self._look_back(role)
        for role in CONTROL:
            self._settle(role)
        history = read_history(self._bus, pipeline, self._ids["features"], keys)
        self._look_again()
        self._take("features", read)
        records = list(history.ledger.specifications.values())
        foreign = foreign_ids(records, known_login)
        repeats = {
            "events": with_events(features, records, foreign),
            "feedback": with_feedback(labels),
        }
        for role, answers in repeats.items():
            seen = _Seen(letters[role], answers)
            for batch in everything(self._bus, role, self._window.inputs(role)):
                seen.add(batch)
            self._take(role, seen)
        return Evidence(
            events=self._inputs["events"],
            feedback=self._inputs["feedback"],
            features_read=self._inputs["features"],
            features=features,
            labels=labels,
            predictions=predictions,
            letters={role: compared.letters for role, compared in letters.items()},
            outputs=self._outputs,
            history=history,
            patience_s=self._patience.limit_s,
            entity_names=_entity_names(self._bus, features),
            registry_trouble=foreign.trouble if foreign is not None else "",
        )

    def _read(self, role: str) -> tuple[Iterator[Batch], Output]:
        return self._horizon.read(self._bus, role, self._patience, self._window.outputs(role)), self._outputs[role]

    def _look_back(self, role: str) -> None:
        """Note what of an output topic could not be read, after it was read, so that nothing goes unnoticed."""
        output = self._outputs[role]
        spans = self._bus.spans(role)
        output.partitions = len(spans)
        output.hidden = self._horizon.hidden(self._bus, role)
        wanted = self._window.outputs(role) or {}
        cut = {  # a range that begins where the topic does may have begun before
            Place(role, number): span.low
            for number, span in spans.items()
            if span.low > 0 and span.low >= wanted.get(Place(role, number), 0)
        }
        output.kept_since_ms = {place.partition: EMPTIED for place in cut} | _first_times_ms(self._bus, cut)

    def _settle(self, role: str) -> None:
        """Wait for what is open on a control topic: the registry's own word may be in it."""
        while (hidden := self._horizon.hidden(self._bus, role)) and self._patience.pause():
            pass
        self._outputs[role].hidden = hidden
        self._outputs[role].partitions = len(self._horizon.highs[role])

    def _look_again(self) -> None:
        """Note which offsets stand still: a service that runs commits the answers that were read together with them."""
        for role, service in _GROUPS.items():
            before, after = self._inputs[role].committed, _group(self._committed(service, role), self._ids[role])
            self._inputs[role].standing = {
                partition: offset for partition, offset in after.committed.items() if before.get(partition) == offset
            }

    def _take(self, role: str, seen: "_Seen") -> None:
        """The records of an input topic that are judged: those that are there, from the window's start on."""
        inputs = self._inputs[role]
        starts = self._window.inputs(role) or {}
        for number, span in self._bus.spans(role).items():
            start = starts.get(Place(role, number), 0)
            inputs.lows[number] = max(span.low, start)
            inputs.ends[number] = span.high
            inputs.expired += max(span.low - start, 0)
            if span.open and role != "features":  # features were waited for
                inputs.behind_open[number] = span.high - span.end
        ids, times_ms = seen.columns()
        judged = offsets_of(ids) >= looked_up(inputs.lows, partitions_of(ids), 0)
        inputs.ids, inputs.times_ms = ids[judged], times_ms[judged]


class _Seen:
    """Identities and times of an input topic's records, which are compared with their answers in passing."""

    def __init__(self, *compared: Comparison | Repeated) -> None:
        self._compared = compared
        self._ids: list[Ints] = []
        self._times_ms: list[Ints] = []

    def add(self, batch: Batch) -> Batch:
        """The next records."""
        ids = identity(batch.partitions, batch.offsets)
        self._ids.append(ids)
        self._times_ms.append(batch.timestamps_ms)
        for one in self._compared:
            one.add(batch, ids)
        return batch

    def columns(self) -> tuple[Ints, Ints]:
        """All of them by ascending identity."""
        if not self._ids:
            return NOTHING, NOTHING
        ids = np.concatenate(self._ids)
        by_id = np.argsort(ids)
        return ids[by_id], np.concatenate(self._times_ms)[by_id]


def _group(offsets: Mapping[int, Committed], topic_id: str) -> Inputs:
    """Committed offsets of the present life, and those that are void because they name another one.

    Where another program has changed the number, the whole text stands for the metadata: it is no position of ours.
    """
    inputs = Inputs()
    for partition, at in offsets.items():
        metadata, said, moved = unstamped(at.metadata, at.offset)
        inputs.named |= {said} - {""}
        if said and topic_id and said != topic_id:
            inputs.of_earlier_life[partition] = at.offset
        else:
            inputs.committed[partition], inputs.metadata[partition] = at.offset, at.metadata if moved else metadata
    return inputs


def _first_times_ms(bus: Bus, starts: Mapping[Place, int]) -> dict[int, int]:
    """By partition the time of the first record from there on; those without any are left out."""
    firsts_ms: dict[int, int] = {}
    for batch in everything(bus, next(iter(starts)).role, starts) if starts else ():
        for partition in batch.spans:
            firsts_ms.setdefault(partition, int(batch.timestamps_ms[batch.rows(partition)[0]]))
        if len(firsts_ms) == len(starts):
            break
    return firsts_ms


def _entity_names(bus: Bus, vectors: Vectors) -> dict[int, str]:
    """The texts of the entities that a warning will name, read from one of their vectors."""
    names = {}
    entities, rows = scattered(vectors)
    for entity, row in zip(entities[:_NAMED].tolist(), rows[:_NAMED].tolist(), strict=True):
        at = vectors.ids[row : row + 1]
        place = Place("features", int(partitions_of(at)[0]))
        for batch in everything(bus, "features", {place: int(offsets_of(at)[0])}):
            found = FramedReader.of("FeatureVector", max_bytes=4 << 20).read(batch.values[:1]).columns["entity"]
            assert isinstance(found, Strings)
            names[entity] = found.tolist()[0]
            break
    return names
