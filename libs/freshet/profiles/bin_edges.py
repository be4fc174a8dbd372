"""Between which values rows are counted: chosen once from a pipeline's first rows, then the same for all frames."""

import hashlib
import json
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from freshet.contracts.arrays import Floats, Floats32, Ints
from freshet.contracts.errors import ContractError
from freshet.contracts.profile_messages import Edges

BINS: Final = 20
"""Bins of each column: the first is for values below all that the edges were chosen from, the last for those above."""
ANSWER: Final = "answer"
"""The column of answers that holds the place of the answered class among the pipeline's classes."""
CONFIDENCE: Final = "confidence"
MOST_CLASSES: Final = 80
"""Of more classes no scores are counted: each has as many bins as there are classes, and frames must stay small."""
VALUE: Final = "value"
_TO_SIGMA: Final = 1.4826
"""The median distance from the median, times this, is the standard deviation of normal values."""


@dataclass(frozen=True, slots=True, eq=False)
class BinEdges:
    """The edges of n columns, ascending, and where their values usually lie; all finite."""

    names: tuple[str, ...]
    edges: Floats
    """(n, bins - 1)."""
    centre: Floats
    distance: Floats
    """The usual distance from the centre, above 0; infinite where how far a value lies out says nothing."""

    @property
    def bins_each(self) -> int:
        """Bins of each column."""
        return int(self.edges.shape[1]) + 1

    @property
    def id(self) -> str:
        """The same names and numbers have the same one."""
        parts = [column.astype("<f8").tobytes() for column in (self.edges, self.centre, self.distance)]
        return hashlib.sha256(b"".join([json.dumps(self.names).encode(), *parts])).hexdigest()[:16]

    @classmethod
    def of(cls, record: Edges) -> Self:
        """The edges of a record. Raises ContractError if they cannot be."""
        columns = len(record.names)
        sizes = {"edges": columns * (record.bins_each - 1), "centre": columns, "distance": columns}
        if any(len(getattr(record, name)) != 8 * size for name, size in sizes.items()):
            raise ContractError("an edges record has other columns than it names: a stranger wrote it.")
        edges, centre, distance = (np.frombuffer(getattr(record, name), "<f8") for name in sizes)
        found = cls(record.names, edges.reshape(columns, -1), centre, distance)
        if found.id != record.id or not (np.diff(found.edges, axis=1) >= 0).all():
            raise ContractError("an edges record is damaged: its id is another, or its edges do not ascend.")
        return found

    def counts(self, values: Floats32, groups: Ints, count: int) -> Ints:
        """How many finite values of rows (m, n), each of one of `count` groups, lie in each bin: (count, n, bins)."""
        found = np.zeros((count, len(self.names), self.bins_each), np.int64)
        for at, edges in enumerate(self.edges):
            column = values[:, at].astype(np.float64)
            known = np.isfinite(column)
            places = groups[known] * self.bins_each + np.searchsorted(edges, column[known], side="right")
            found[:, at] = np.bincount(places, minlength=count * self.bins_each).reshape(count, self.bins_each)
        return found


def chosen(names: tuple[str, ...], values: Floats32) -> BinEdges:
    """Edges from rows (m, n). NaN and infinity are left out; a column without any finite value gets one edge, at 0.

    The lowest edge is the smallest value, the highest lies right above the largest one. A value that a large part of
    the rows has gets a bin of its own.
    """
    columns = [values[:, at][np.isfinite(values[:, at])].astype(np.float64) for at in range(len(names))]
    columns = [column if column.size else np.zeros(1) for column in columns]
    centre = np.array([np.median(column) for column in columns])
    distance = np.array([_distance(column) for column in columns])
    return BinEdges(names, np.array([_edges(column) for column in columns]), centre, distance)


def answer_names(classes: tuple[str, ...]) -> tuple[str, ...]:
    """What is counted of predictions of these classes, or of a regression's; of two classes one score is enough.

    Of very many classes no scores are counted: how often each class is answered, and how surely, tells enough.
    """
    every = all_answer_names(classes)
    return every[:2] if len(classes) > MOST_CLASSES else every


def all_answer_names(classes: tuple[str, ...]) -> tuple[str, ...]:
    """With the scores of each class, however many: frames that an older release wrote have all of them."""
    if not classes:
        return (VALUE,)
    scores = tuple(f"score of {name}" for name in classes)
    return (ANSWER, CONFIDENCE, *(scores if len(scores) > 2 else scores[1:]))


def fixed(names: tuple[str, ...], classes: int) -> BinEdges:
    """Edges of a classification's answers: they need no rows, for classes are known and scores go from 0 to 1."""
    inner = max(BINS, classes) - 1
    places = np.minimum(np.arange(inner) + 0.5, classes - 0.5)
    scores = np.arange(1, inner + 1) / (inner + 1)
    edges = np.array([places if name == ANSWER else scores for name in names])
    return BinEdges(names, edges, np.zeros(len(names)), np.full(len(names), np.inf))


def _edges(column: Floats) -> Floats:
    """`BINS - 1` edges."""
    with np.errstate(over="ignore"):
        above = np.nextafter(np.float32(column.max()), np.float32(np.inf), dtype=np.float32).astype(np.float64)
    above = above if np.isfinite(above) else column.max()
    distinct = np.unique(column)
    if distinct.size > BINS - 2:
        inner = np.unique(np.quantile(column, np.arange(BINS - 2) / (BINS - 2), method="inverted_cdf"))
        others = np.setdiff1d(distinct, inner)
        more = BINS - 2 - inner.size
        spread = others[np.arange(more) * others.size // max(1, more)]
        distinct = np.unique(np.concatenate([inner, spread]))
    found: Floats = np.full(BINS - 1, above)
    found[: distinct.size] = distinct
    return found


def _distance(column: Floats) -> float:
    """Robust where it can be: half of the values may be alike."""
    usual = _TO_SIGMA * float(np.median(np.abs(column - np.median(column)))) or float(column.std())
    return usual if usual > 0 else np.inf
