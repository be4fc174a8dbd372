"""Where trees send a missing value: scikit-learn knows it, its ONNX converter forgets it (sklearn-onnx #1253)."""

from itertools import chain
from typing import Any

import numpy as np
from onnx import ModelProto

from freshet.models.original import last_step

_ROUTES = "nodes_missing_value_tracks_true"


def restore_missing_routes(model: ModelProto, estimator: Any) -> None:
    """Write the routes of a scikit-learn decision tree or forest, alone or at the end of a Pipeline, into its graph.

    Changes nothing for other estimators, or if graph and trees do not have the same nodes: the parity check judges.
    """
    trees = _trees(last_step(estimator))
    ensembles = [
        node for node in model.graph.node if node.op_type in {"TreeEnsembleClassifier", "TreeEnsembleRegressor"}
    ]
    if not trees or len(ensembles) != 1:
        return
    attributes = {attribute.name: attribute for attribute in ensembles[0].attribute}
    routes = [np.asarray(tree.missing_go_to_left, np.int64) for tree in trees]
    places = list(zip(attributes["nodes_treeids"].ints, attributes["nodes_nodeids"].ints, strict=True))
    if len(places) != sum(map(len, routes)):
        return
    attributes[_ROUTES].ints[:] = [int(routes[tree][node]) for tree, node in places]


def _trees(estimator: Any) -> list[Any]:
    """scikit-learn's low-level trees, in the converter's order; empty unless each has routes for missing values."""
    members = getattr(estimator, "estimators_", [estimator])
    flat = chain.from_iterable(np.asarray(members, dtype=object).reshape(-1, 1))
    trees = [getattr(member, "tree_", None) for member in flat]
    return trees if all(hasattr(tree, "missing_go_to_left") for tree in trees) else []
