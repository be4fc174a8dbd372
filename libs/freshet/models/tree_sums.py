"""Sums of trees as an ONNX tree ensemble holds them: what they give for rows, and what each feature adds to that.

The contributions are interventional Shapley values, exact, from walking each tree once for a row and the rows that it
is compared with: Lundberg et al., "From local explanations to global understanding with explainable AI for trees",
Nature Machine Intelligence 2 (2020), its algorithm for a background data set. On a path, a feature for which the two
go different ways belongs to the one that the path follows; a leaf that takes `a` features from the row and `b` from
the other is shared out by (a - 1)! b! / (a + b)! to each of the first, and less a! (b - 1)! / (a + b)! to each of the
second.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import factorial
from typing import Any, Final, NamedTuple

import numpy as np

from freshet.contracts.arrays import Bools, Floats, Floats32, Ints

BRANCH_TESTS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "BRANCH_LEQ": np.less_equal,
    "BRANCH_LT": np.less,
    "BRANCH_GTE": np.greater_equal,
    "BRANCH_GT": np.greater,
    "BRANCH_EQ": np.equal,
    "BRANCH_NEQ": np.not_equal,
}
"""By a node's mode: whether a value passes it, given its threshold."""


@dataclass(frozen=True, slots=True, eq=False)
class TreeSum:
    """All nodes of all trees, one behind the other."""

    roots: Ints
    """(trees,), the node in which each begins."""
    feature: Ints
    """(nodes,)"""
    threshold: Floats32
    """(nodes,)"""
    mode: Any
    """(nodes,), how each compares, or LEAF."""
    missing: Bools
    """(nodes,), whether a missing value takes the branch of those for which it holds."""
    children: Ints
    """(nodes, 2): where it goes if it does not hold, and if it does."""
    value: Floats
    """(nodes, outputs), what a leaf adds."""
    base: Floats
    """(outputs,), what is there before the first tree."""

    def raw(self, rows: Any) -> Floats:
        """Sums, float64 (n, outputs), for rows, (n, features)."""
        at = np.tile(self.roots, (len(rows), 1))
        while True:
            row, tree = np.nonzero(self.mode[at] != "LEAF")
            if not row.size:
                break
            nodes = at[row, tree]
            at[row, tree] = self.children[nodes, self._turns(rows[row, self.feature[nodes]], nodes)]
        sums: Floats = self.base + self.value[at].sum(axis=1)
        return sums

    @property
    def leaves(self) -> int:
        """Of all trees."""
        return int((self.mode == "LEAF").sum())

    def baseline(self, others: Any) -> Floats:
        """The mean sums, (outputs,), of the rows that a row is compared with."""
        mean: Floats = self.raw(others).mean(axis=0)
        return mean

    def contributions(self, row: Any, others: Any) -> Floats:
        """(features, outputs): they add up to the row's sums less the mean of those of `others`, (m, features)."""
        columns, found = np.vstack([row, others]).astype(np.float32).T, np.zeros((len(row), len(self.base)))
        everybody = np.arange(len(others) + 1)
        open_ = [_Path(root, everybody, frozenset(), frozenset()) for root in self.roots.tolist()]
        while open_:
            path = open_.pop()
            if self.mode[path.node] == "LEAF":
                self._share_out(path, found)
            else:
                open_ += self._onwards(path, columns[self.feature[path.node], path.rows])
        return found / len(others)

    def _onwards(self, path: "_Path", values: Any) -> list["_Path"]:
        """Where a path goes on from an inner node: with the row, with the others, or with both on ways of their own."""
        node, rows, mine, not_mine = path
        turns = _turns(self.mode[node], values, self.threshold[node], self.missing[node])
        feature, ways = int(self.feature[node]), self.children[node].tolist()
        turn = int(turns[0])
        if feature in mine:
            return [_Path(ways[turn], rows, mine, not_mine)]
        alike, other = rows[turns == turn], np.append(rows[:1], rows[turns != turn])
        if feature in not_mine:
            return [
                _Path(ways[side], part, mine, not_mine)
                for side, part in ((turn, alike), (1 - turn, other))
                if part.size > 1
            ]
        found = [_Path(ways[turn], alike, mine, not_mine)] if alike.size > 1 else []
        if other.size > 1:
            found.append(_Path(ways[turn], other, mine | {feature}, not_mine))
            found.append(_Path(ways[1 - turn], other, mine, not_mine | {feature}))
        return found

    def _share_out(self, path: "_Path", found: Floats) -> None:
        a, b = len(path.mine), len(path.not_mine)
        worth = self.value[path.node] * (len(path.rows) - 1) / factorial(a + b)
        for feature in path.mine:
            found[feature] += worth * factorial(a - 1) * factorial(b)
        for feature in path.not_mine:
            found[feature] -= worth * factorial(a) * factorial(b - 1)

    def _turns(self, values: Any, nodes: Ints) -> Ints:
        """Which child of its node each value goes to."""
        found, modes = np.zeros(len(nodes), np.int64), self.mode[nodes]
        for mode in np.unique(modes).tolist():
            at = modes == mode
            found[at] = _turns(mode, values[at], self.threshold[nodes[at]], self.missing[nodes[at]])
        return found


def _turns(mode: str, values: Any, threshold: Any, missing: Any) -> Any:
    """1 where the comparison holds, else 0."""
    holds = BRANCH_TESTS[mode](values, threshold)
    unknown = np.isnan(values)
    return np.where(unknown, missing, holds).astype(np.int64) if unknown.any() else holds.astype(np.int64)


class _Path(NamedTuple):
    """A way from a root to a node, of the row and some of the others, with the features that were decided on it."""

    node: int
    rows: Ints
    """Their places; the row's own, 0, is the first."""
    mine: frozenset[int]
    not_mine: frozenset[int]


def tree_sum(attributes: Mapping[str, Any]) -> TreeSum | None:
    """The sum that an ONNX tree ensemble says, a regressor or a classifier; None if it is none, as with a maximum.

    A classifier of two classes may hold the score of one of them only: it has one output then.
    """
    trees, ids = attributes["nodes_treeids"], attributes["nodes_nodeids"]
    place = {key: at for at, key in enumerate(zip(trees, ids, strict=True))}
    modes = [word.decode() for word in attributes["nodes_modes"]]
    how = attributes.get("aggregate_function", b"SUM").decode()
    if how not in {"SUM", "AVERAGE"} or not {*modes} <= {*BRANCH_TESTS, "LEAF"}:
        return None
    kind = "class" if "class_ids" in attributes else "target"
    outputs = np.array(attributes[f"{kind}_ids"], np.int64)
    if kind == "class" and len({*outputs.tolist()}) == 1:
        outputs[:] = 0
    value = np.zeros((len(place), int(attributes.get("n_targets", outputs.max() + 1))))
    leaves = [place[key] for key in zip(attributes[f"{kind}_treeids"], attributes[f"{kind}_nodeids"], strict=True)]
    np.add.at(value, (np.array(leaves), outputs), np.array(attributes[f"{kind}_weights"], np.float64))
    roots = {tree: at for at, tree in reversed([*enumerate(trees)])}
    children = [attributes[f"nodes_{side}nodeids"] for side in ("false", "true")]
    own = [[place.get((tree, child), 0) for tree, child in zip(trees, side, strict=True)] for side in children]
    return TreeSum(
        roots=np.array([*roots.values()]),
        feature=np.array(attributes["nodes_featureids"], np.int64),
        threshold=np.array(attributes["nodes_values"], np.float32),
        mode=np.array(modes),
        missing=np.array(attributes.get("nodes_missing_value_tracks_true", [0] * len(trees)), np.bool_),
        children=np.array(own).T,
        value=value / len(roots) if how == "AVERAGE" else value,
        base=np.broadcast_to(np.array(attributes.get("base_values", [0.0]), np.float64), value.shape[1:]).copy(),
    )
