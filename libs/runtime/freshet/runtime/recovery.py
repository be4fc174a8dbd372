"""Where a partition without a usable committed offset starts: recovered from what we answered, or at the beginning.

Committed offsets get lost: the broker forgets idle groups, operators reset them, topics are made anew. Starting over
then would answer the whole retention twice. Our own outputs name the input position of each answer, so their tail tells
the truth.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from freshet.contracts.batch import Batch
from freshet.contracts.codec import Decoder
from freshet.contracts.position import Position
from freshet.contracts.schemas import current_schema
from freshet.runtime import dead_letters
from freshet.runtime.bus import Bus, Committed, FatalError, Place, Span
from freshet.runtime.reading import everything


@dataclass(frozen=True, slots=True)
class Trace:
    """How records of an output topic name the input record that they answer."""

    output: str
    record: str
    input: str
    partition: str
    offset: str
    with_position: bool = False
    """True if the record carries epoch and fallback, which become the offset's metadata."""


def recover(bus: Bus, traces: Sequence[Trace], place: Place) -> Committed | None:
    """The position after the last answer that we published for this partition; None if there is none.

    Reads the output topics whole: slow, and only needed when the group's offset was lost.
    """
    traced = {trace.output: trace for trace in traces if trace.input == place.role}
    outputs = [*traced, dead_letters.ROLE]
    if all(span.low == span.end for output in outputs for span in bus.spans(output).values()):
        return None
    best: Committed | None = None
    for batch in chain.from_iterable(everything(bus, output) for output in outputs):
        trace = traced.get(batch.role)
        found = _last_dead(batch, place) if trace is None else _last(batch, trace, place)
        if found is not None and (best is None or found.offset > best.offset):
            best = found if found.metadata or best is None else Committed(found.offset, best.metadata)
    return best


def checked(
    place: Place, committed: Committed | None, recovered: Committed | None, span: Span, origin: str
) -> Committed:
    """The position to go on from; raises FatalError where going on would answer something twice or skip it unseen."""
    if recovered is None:
        return Committed(committed.offset if committed else span.low, origin)
    if recovered.offset > span.end:
        raise FatalError(
            f"{place.role}/{place.partition} ends at {span.end}, but we have answered it up to {recovered.offset}: the "
            "topic was made anew under outputs of the old one. Publish the pipeline under a new name, or delete its "
            "output topics."
        )
    if committed is not None and committed.offset < recovered.offset:
        raise FatalError(
            f"{place.role}/{place.partition} was reset to {committed.offset}, but is answered up to {recovered.offset}"
            f": reading again would answer it twice. Set the group's offset to {recovered.offset}, or replay into "
            "another pipeline."
        )
    return Committed(max(recovered.offset, span.low), recovered.metadata or origin)


def _last(batch: Batch, trace: Trace, place: Place) -> Committed | None:
    columns = Decoder(current_schema(trace.record)).decode(batch.values).columns
    ours = np.flatnonzero(np.asarray(columns[trace.partition]) == place.partition)
    if not len(ours):
        return None
    offsets = np.asarray(columns[trace.offset])[ours]
    row = int(offsets.argmax())
    metadata = ""
    if trace.with_position:
        epoch, fallback = (int(np.asarray(columns[name])[ours[row]]) for name in ("epoch", "fallback"))
        metadata = Position(epoch, fallback).metadata()
    return Committed(int(offsets[row]) + 1, metadata)


def _last_dead(batch: Batch, place: Place) -> Committed | None:
    origins = [dead_letters.origin(record.headers()) for record in batch.records]
    offsets = [found[2] for found in origins if found is not None and found[:2] == tuple(place)]
    return Committed(max(offsets) + 1) if offsets else None
