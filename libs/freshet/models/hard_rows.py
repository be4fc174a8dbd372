"""Rows made to hurt: at and beside every split of a tree, at every category and a stranger, at the edges."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from onnx import ModelProto, NodeProto

from freshet.contracts.arrays import Bools, Floats, Floats32, Ints
from freshet.features.transform import Domain
from freshet.models.thresholds import neighbours
from freshet.models.tree_sums import BRANCH_TESTS

Score = Callable[[Floats32], Floats32]

_FAR: Final = 10  # extremes lie this many ranges of the sample outside of it
_SPLITS: Final = 20_000
_ROUTED_ROWS: Final = 2_000
_CATEGORIES: Final = 100
_PAIRS: Final = 1_000
_HALVINGS: Final = 33
_TINY: Final = (1e-35, 1e-36, 1e-40)
_SAME_COLUMNS: Final = frozenset({"Identity", "Cast", "Where"})


def possible(rows: Floats32, domains: Sequence[Domain]) -> Floats32:
    """Rows in which each value is the nearest one that its feature can have; missing values stay."""
    low, high = (np.array([getattr(can, side) for can in domains], np.float32) for side in ("low", "high"))
    near: Floats32 = rows.clip(low, high)
    whole = [can.whole for can in domains]
    near[:, whole] = np.rint(near[:, whole])
    return near


def edge_rows(rows: Floats32) -> Floats32:
    """Zeros, each column's smallest and largest value, values far outside the sample, and all but zero; float32."""
    finite = np.where(np.isfinite(rows), rows, np.nan).astype(np.float64)
    some = np.isfinite(finite).any(axis=0)
    low, high = np.zeros(rows.shape[1]), np.zeros(rows.shape[1])
    low[some], high[some] = np.nanmin(finite[:, some], axis=0), np.nanmax(finite[:, some], axis=0)
    reach = _FAR * np.maximum(high - low, 1)
    limit = float(np.finfo(np.float32).max)
    tiny = [np.full_like(low, sign * value) for value in _TINY for sign in (1, -1)]
    edges: Floats = np.stack([np.zeros_like(low), low, high, low - reach, high + reach, *tiny])
    return edges.clip(-limit, limit).astype(np.float32)


def category_rows(rows: Floats32) -> Floats32:
    """For each column of few whole numbers: each of them, one below, one above, a fraction and a far stranger."""
    found = []
    for column in range(rows.shape[1]):
        values = np.unique(rows[:, column])
        values = values[np.isfinite(values)]
        if not values.size or values.size > _CATEGORIES or (values != np.floor(values)).any():
            continue
        strangers = [values[0] - 1, values[-1] + 1, values[-1] + 0.7, values[0] + 0.7, values[0] - 0.5, 1e6]
        asked = np.concatenate([values, np.array(strangers, np.float32)])
        more = np.resize(rows, (len(asked), rows.shape[1])).copy()
        more[:, column] = asked
        found.append(more)
    return np.concatenate(found) if found else rows[:0]


class Splits(NamedTuple):
    """Rows at and beside the splits of the graph's trees, and whether all its trees read the features themselves."""

    rows: Floats32
    all_seen: bool


def split_rows(model: ModelProto, rows: Floats32) -> Splits:
    """For each split a row of the sample that comes to it, with the split's feature at the threshold and beside it."""
    direct = _names_of_rows(model)
    trees = [node for node in model.graph.node if node.op_type.startswith("TreeEnsemble")]
    some = rows[np.linspace(0, len(rows) - 1, min(len(rows), _ROUTED_ROWS)).astype(np.int64)]
    found = [more for node in trees if node.input[0] in direct for more in _rows_of(node, some)]
    seen = all(node.input[0] in direct for node in trees) and bool(trees)
    return Splits(np.concatenate(found) if found else rows[:0], seen)


def _names_of_rows(model: ModelProto) -> set[str]:
    """Values of the graph that are the features, column for column."""
    constants = {constant.name for constant in model.graph.initializer}
    names = {given.name for given in model.graph.input} - constants
    for node in model.graph.node:
        if node.op_type in _SAME_COLUMNS and not names.isdisjoint(node.input):
            names.update(node.output)
    return names


def _rows_of(node: NodeProto, rows: Floats32) -> Iterator[Floats32]:
    trees = _Trees(node)
    if not trees.known:
        return
    coming = trees.coming(rows)
    at = np.flatnonzero(trees.splits)
    at = at[np.linspace(0, at.size - 1, min(at.size, _SPLITS)).astype(np.int64)] if at.size else at
    coming = np.where(coming >= 0, coming, np.arange(coming.size) % len(rows))
    below, above = neighbours(trees.values[at])
    for values in (trees.values[at], below, above, trees.values[at] + np.float32(0.5)):
        asked = rows[coming[at]].copy()
        asked[np.arange(at.size), trees.features[at]] = values
        yield asked[np.isfinite(values)]


class _Trees:
    """The nodes of a TreeEnsembleClassifier or -Regressor as columns."""

    def __init__(self, node: NodeProto) -> None:
        told = {attribute.name: attribute for attribute in node.attribute}
        self.known = "nodes_modes" in told and "nodes_values" in told
        if not self.known:  # thresholds in float64, or the newer operator with other attributes
            return
        ids = list(zip(told["nodes_treeids"].ints, told["nodes_nodeids"].ints, strict=True))
        places = {pair: at for at, pair in enumerate(ids)}
        self.modes = np.array([mode.decode() for mode in told["nodes_modes"].strings])
        self.splits: Bools = self.modes != "LEAF"
        self.values: Floats32 = np.array(told["nodes_values"].floats, np.float32)
        self.features: Ints = np.array(told["nodes_featureids"].ints, np.int64)
        missing = told["nodes_missing_value_tracks_true"].ints if "nodes_missing_value_tracks_true" in told else ()
        self._missing: Bools = np.resize(np.array(missing or [0], np.bool_), len(ids))
        sides = (told["nodes_truenodeids"].ints, told["nodes_falsenodeids"].ints)
        self._true, self._false = (
            np.array([places.get((tree, to), at) for at, ((tree, _), to) in enumerate(zip(ids, side, strict=True))])
            for side in sides
        )
        children = {*self._true[self.splits].tolist(), *self._false[self.splits].tolist()}
        self._roots = [at for at in range(len(ids)) if at not in children]

    def coming(self, rows: Floats32) -> Ints:
        """For each node one of the rows that come to it; -1 if none does."""
        found = np.full(self.modes.size, -1, np.int64)
        everyone = np.arange(len(rows))
        for root in self._roots:
            at = np.full(len(rows), root)
            for _ in range(self.modes.size):
                found[at] = everyone
                moving = self.splits[at]
                if not moving.any():
                    break
                at = np.where(moving, np.where(self._goes_true(at, rows), self._true[at], self._false[at]), at)
        return found

    def _goes_true(self, at: Ints, rows: Floats32) -> Bools:
        asked = rows[np.arange(len(rows)), self.features[at]]
        answer = np.isnan(asked) & self._missing[at]
        for mode, test in BRANCH_TESTS.items():
            chosen = self.modes[at] == mode
            answer[chosen] |= test(asked[chosen], self.values[at][chosen])
        return answer


def boundary_rows(score: Score, rows: Floats32) -> Floats32:
    """Rows on both sides of where the answer jumps, found by halving between values of the sample.

    For models whose splits cannot be read from the graph, because something stands before the trees.
    """
    low, high, columns = _pairs(rows)
    if not len(low):
        return rows[:0]
    every = np.arange(len(low))
    below, above = _counted(low[every, columns]), _counted(high[every, columns])
    first, last = score(low), score(high)
    base = low.copy()
    for _ in range(_HALVINGS):
        middle = below + (above - below) // 2
        base[every, columns] = _uncounted(middle)
        asked = score(base)
        nearer = np.abs(asked - first).max(axis=1) >= np.abs(asked - last).max(axis=1)  # the jump lies below
        above, below = np.where(nearer, middle, above), np.where(nearer, below, middle)
        last, first = np.where(nearer[:, None], asked, last), np.where(nearer[:, None], first, asked)
    found = []
    for step in (-1, 0, 1, 2):
        more = low.copy()
        more[every, columns] = _uncounted(below + step)
        found.append(more)
    return np.concatenate(found)


def _pairs(rows: Floats32) -> tuple[Floats32, Floats32, Ints]:
    """Pairs of rows that differ in one column, smaller value first, and that column."""
    width = rows.shape[1]
    each = max(1, _PAIRS // width)
    base = np.resize(np.arange(len(rows)), each * width)
    columns = np.repeat(np.arange(width), each)
    other = (base + 1 + np.resize(np.arange(each), base.size) * 7) % len(rows)
    here, there = rows[base, columns], rows[other, columns]
    useful = np.isfinite(here) & np.isfinite(there) & (here != there)
    low, high = rows[base[useful]].copy(), rows[base[useful]].copy()
    every = np.arange(int(useful.sum()))
    low[every, columns[useful]] = np.minimum(here, there)[useful]
    high[every, columns[useful]] = np.maximum(here, there)[useful]
    return low, high, columns[useful]


def _counted(values: Floats32) -> Ints:
    """Finite float32 as whole numbers in the same order: neighbours differ by one."""
    bits = np.ascontiguousarray(values).view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)


def _uncounted(counts: Ints) -> Floats32:
    bits = np.where(counts < 0, (-counts) | 0x80000000, counts).astype(np.uint32)
    return bits.view(np.float32)
