"""What scikit-learn's trees know and their ONNX converters lose: exact thresholds, and ways of missing values."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from onnx import ModelProto

from freshet.contracts.arrays import Floats32
from freshet.models.original import parts_of
from freshet.models.thresholds import floor_float32, neighbours

_ROUTES: Final = "nodes_missing_value_tracks_true"
_ENSEMBLES: Final = frozenset({"TreeEnsembleClassifier", "TreeEnsembleRegressor"})


class _Tree(NamedTuple):
    """By node: the float32 threshold, and whether a missing value goes left; of splits by `<=` only."""

    thresholds: Floats32
    routes: tuple[int, ...]
    splits: tuple[bool, ...]
    features: tuple[int, ...]


def restore_splits(model: ModelProto, estimator: Any) -> None:
    """Write thresholds and routes of scikit-learn's trees into their graph, wherever they are in the estimator.

    Thresholds are rounded down to float32, so that every float32 row takes the branch that it takes in scikit-learn,
    which compares it with the float64 threshold. A tree of the graph is found again by its splits. One that is not, or
    for which two differ in their routes, stays as it was: the parity check judges.
    """
    known: dict[tuple[tuple[bool, ...], tuple[int, ...]], list[_Tree]] = {}
    for tree in _trees(estimator):
        known.setdefault((tree.splits, tree.features), []).append(tree)
    for node in model.graph.node if known else ():
        attributes = {attribute.name: attribute for attribute in node.attribute}
        if node.op_type in _ENSEMBLES and "nodes_values" in attributes:
            _restore(attributes, known)


def _restore(attributes: Mapping[str, Any], known: Mapping[Any, Sequence[_Tree]]) -> None:
    places: dict[int, list[int]] = {}
    for at, tree in enumerate(attributes["nodes_treeids"].ints):
        places.setdefault(tree, []).append(at)
    ids, values = attributes["nodes_nodeids"].ints, attributes["nodes_values"].floats
    modes, features = attributes["nodes_modes"].strings, attributes["nodes_featureids"].ints
    for mine in places.values():
        mine.sort(key=lambda at: ids[at])
        splits = tuple(modes[at] == b"BRANCH_LEQ" for at in mine)
        written = np.array([values[at] for at in mine], np.float32)
        candidates = known.get((splits, tuple(features[at] if modes[at] != b"LEAF" else 0 for at in mine)), ())
        found = {tree.routes: tree for tree in candidates if _are_near(tree, written)}
        if len(found) != 1:
            continue
        tree = next(iter(found.values()))
        for at, threshold, route, splits_here in zip(mine, tree.thresholds, tree.routes, tree.splits, strict=True):
            if splits_here:
                values[at] = float(threshold)
            attributes[_ROUTES].ints[at] = route


def _are_near(tree: _Tree, written: Floats32) -> bool:
    """Whether these thresholds are the tree's, rounded in whatever way."""
    splits = np.array(tree.splits)
    mine, theirs = tree.thresholds[splits], written[splits]
    below, above = neighbours(mine)
    return bool(((below <= theirs) & (theirs <= above)).all())


def _trees(estimator: Any) -> Iterator[_Tree]:
    """scikit-learn's low-level trees, whatever they are part of."""
    for part in parts_of(estimator):
        if hasattr(part, "tree_"):
            tree = part.tree_
            splits = tree.children_left >= 0
            yield _tree(tree.threshold, tree.missing_go_to_left, splits, tree.feature, splits)
        for round_of in getattr(part, "_predictors", ()):
            for predictor in round_of:
                nodes = predictor.nodes
                inner = nodes["is_leaf"] == 0
                numeric = inner & (nodes["is_categorical"] == 0)
                yield _tree(nodes["num_threshold"], nodes["missing_go_to_left"], numeric, nodes["feature_idx"], inner)


def _tree(thresholds: Any, routes: Any, splits: Any, features: Any, inner: Any) -> _Tree:
    return _Tree(
        floor_float32(thresholds),
        tuple(np.where(inner, routes, 0).astype(int).tolist()),
        tuple(splits.tolist()),
        tuple(np.where(inner, features, 0).astype(int).tolist()),
    )
