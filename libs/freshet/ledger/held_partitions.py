"""Where each partition is in history: by the worker that holds it, the epochs, and the cut-overs."""

from collections.abc import Iterator
from dataclasses import dataclass

from freshet.contracts.position import Position
from freshet.ledger.ledger import PipelineLedger
from freshet.ledger.workers import ALIVE


@dataclass(frozen=True, slots=True)
class HeldPartition:
    """A partition of the features topic in the hands of a worker of inference."""

    partition: int
    worker: str
    epoch: int
    fallback: int
    version: str
    """Who answers it at its position; empty if nobody does."""
    held: str
    """Why it waits; empty when it flows."""
    since_offset: int | None
    """First offset answered at this position; None before its first answer."""


def held_partitions(ledger: PipelineLedger, now_ms: int) -> list[HeldPartition]:
    """Partitions in the hands of workers that are alive at that time, in order."""
    return sorted(_held(ledger, now_ms), key=lambda found: (found.partition, found.worker))


def _held(ledger: PipelineLedger, now_ms: int) -> Iterator[HeldPartition]:
    for instance, beat in ledger.workers.of("inference", lane=None):
        for at in beat.worker.partitions if beat.state(now_ms) in ALIVE else ():
            position = Position(at.epoch, at.fallback)
            answering = [one.version for one in ledger.epochs.answerers(position)]
            since = ledger.cutovers.since(beat.worker.lane, at.partition, position)
            yield HeldPartition(
                at.partition, instance, at.epoch, at.fallback, " + ".join(filter(None, answering)), at.held, since
            )
