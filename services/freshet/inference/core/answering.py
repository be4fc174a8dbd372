"""Answers a batch: groups partitions by position, and finds another position for those whose version breaks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from freshet.contracts.batch import Batch
from freshet.contracts.logic import DeadLetter, Hold
from freshet.inference.core.partitions import Partitions
from freshet.inference.core.serving import Answered, Blocked, Broken, Serving
from freshet.inference.core.vectors import Vectors


@dataclass(frozen=True, slots=True)
class Group:
    """Partitions that were answered together, under one position."""

    partitions: tuple[int, ...]
    done: Answered


def answer(
    batch: Batch, vectors: Vectors, flowing: Sequence[int], partitions: Partitions, serving: Serving
) -> tuple[list[Group], list[Hold]]:
    """Answer the vectors of the flowing partitions; each of these ends in a group or is held.

    The lowest position goes first. A version that breaks is quarantined, which gives its partitions another
    position: they are tried again under that, and nothing of the failed answer is seen.
    """
    pending, groups, holds = list(flowing), [], []
    while pending:
        targets = partitions.targets(pending)
        holds += [partitions.hold(number) for number in pending if targets[number] is None]
        known = [target for target in targets.values() if target]
        if not known:
            break
        members = [number for number in pending if targets[number] == min(known)]
        rows = vectors if len(members) == len(flowing) else _of(batch, vectors, members)
        result = serving.answer(min(known), rows)
        if isinstance(result, Answered):
            groups.append(Group(tuple(members), result))
        elif isinstance(result, Blocked):
            members = np.unique(batch.partitions[result.rows]).tolist()
            holds += [partitions.hold(number, needs=result.version) for number in members]
        done = () if isinstance(result, Broken) else members
        pending = [number for number in pending if targets[number] and number not in done]
    return groups, holds


def without(letters: Iterable[DeadLetter], batch: Batch, held: Iterable[int]) -> list[DeadLetter]:
    """The dead letters, less the rows of held partitions: those count as unread."""
    waiting = list(held)
    kept = []
    for letter in letters:
        flows = ~np.isin(batch.partitions[letter.rows], waiting)
        details = [letter.details[row] for row in np.flatnonzero(flows).tolist()]
        if details:
            kept.append(DeadLetter(letter.rows[flows], letter.reason, details, letter.schema_id))
    return kept


def _of(batch: Batch, vectors: Vectors, partitions: Sequence[int]) -> Vectors:
    return vectors.take(np.flatnonzero(np.isin(batch.partitions[vectors.at], partitions)))
