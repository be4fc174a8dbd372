"""Where trees send a missing value: scikit-learn knows it, its ONNX converter forgets it (sklearn-onnx #1253)."""

from typing import Any

import numpy as np
from onnx import ModelProto

from freshet.models.original import last_step

_ROUTES = "nodes_missing_value_tracks_true"


def restore_missing_routes(model: ModelProto, estimator: Any) -> None:
    """Write the routes of scikit-learn's decision trees into their graph: alone, in forests, in ensembles of these.

    Changes nothing for other estimators, or if graph and trees do not have the same nodes: the parity check judges.
    """
    routes = [np.asarray(tree.missing_go_to_left).tolist() for tree in _trees(last_step(estimator))]
    nodes = [node for node in model.graph.node if node.op_type in {"TreeEnsembleClassifier", "TreeEnsembleRegressor"}]
    ensembles = [{attribute.name: attribute for attribute in node.attribute} for node in nodes]
    trees = [max(ensemble["nodes_treeids"].ints) + 1 for ensemble in ensembles]
    sizes = [len(ensemble["nodes_nodeids"].ints) for ensemble in ensembles]
    if sum(trees) != len(routes) or sum(sizes) != sum(map(len, routes)):
        return
    for ensemble, count in zip(ensembles, trees, strict=True):
        mine, routes = routes[:count], routes[count:]
        places = zip(ensemble["nodes_treeids"].ints, ensemble["nodes_nodeids"].ints, strict=True)
        ensemble[_ROUTES].ints[:] = [mine[tree][node] for tree, node in places]


def _trees(estimator: Any) -> list[Any]:
    """scikit-learn's low-level trees, in the converter's order."""
    if hasattr(estimator, "tree_"):
        return [estimator.tree_]
    members = getattr(estimator, "estimators_", [])
    flat = members.ravel() if isinstance(members, np.ndarray) else members  # boosting keeps a matrix of them
    return [tree for member in flat for tree in _trees(member)]
