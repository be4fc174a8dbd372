"""Answers a batch: groups partitions by position, and finds another position for those whose version breaks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from freshet.contracts.batch import Batch
from freshet.contracts.logic import DeadLetter
from freshet.inference.core.positions import Positions
from freshet.inference.core.scoring import Answered, Awaiting, Broken, Scoring
from freshet.inference.core.vectors import Vectors


@dataclass(frozen=True, slots=True)
class Group:
    """Partitions that were answered together, under one position."""

    partitions: tuple[int, ...]
    done: Answered


def answer(
    batch: Batch, vectors: Vectors, positions: Positions, scoring: Scoring
) -> tuple[list[Group], dict[int, str]]:
    """Answer the vectors of a batch. Each of its partitions ends in a group, or waits, with the reason.

    The lowest position goes first. A version that breaks is quarantined, which gives its partitions another
    position: they are tried again under that, and nothing of the failed answer is seen.
    """
    pending, groups, waiting = list(batch.spans), [], list[int]()
    while pending:
        targets = positions.targets(pending)
        waiting += [number for number in pending if targets[number] is None]
        known = [target for target in targets.values() if target]
        if not known:
            break
        members = [number for number in pending if targets[number] == min(known)]
        rows = vectors if len(members) == len(batch.spans) else _of(batch, vectors, members)
        result = scoring.answer(min(known), rows)
        if isinstance(result, Answered):
            groups.append(Group(tuple(members), result))
        elif isinstance(result, Awaiting):
            members = np.unique(batch.partitions[result.rows]).tolist()
            waiting += members
            for number in members:
                positions.need(number, result.version)
        done = () if isinstance(result, Broken) else members
        pending = [number for number in pending if targets[number] and number not in done]
    return groups, {number: positions.waits(number) for number in sorted(waiting)}


def without(letters: Iterable[DeadLetter], batch: Batch, waiting: Iterable[int]) -> list[DeadLetter]:
    """The dead letters, less the rows of partitions that wait: those count as unread."""
    kept = []
    for letter in letters:
        flows = ~np.isin(batch.partitions[letter.rows], list(waiting))
        details = [letter.details[row] for row in np.flatnonzero(flows).tolist()]
        if details:
            kept.append(replace(letter, rows=letter.rows[flows], details=details))
    return kept


def _of(batch: Batch, vectors: Vectors, partitions: Sequence[int]) -> Vectors:
    return vectors.take(np.flatnonzero(np.isin(batch.partitions[vectors.at], partitions)))
