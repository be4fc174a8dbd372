"""LightGBM's trees as attributes of an ONNX tree ensemble, so that every float32 row takes the branch it took there."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from freshet.models.thresholds import floor_float32

ZERO: Final = np.float32(1e-35)
"""LightGBM reads a number as zero if it is no larger than this, whatever its sign."""
_EXACT_CATEGORY: Final = 1 << 24  # float32 counts every whole number up to here

Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Forest:
    """A booster's trees with what they need done to the features first."""

    trees: tuple[Tree, ...]
    targets: int
    """Sums of leaves for each row: one per class, or 1."""
    objective: str
    averaged_over: int
    """Trees of each target where their mean counts (random forests), else 1."""
    width: int
    categorical: frozenset[int]
    zero_missing: frozenset[int]
    """Features whose zeros count as missing."""

    @classmethod
    def of(cls, booster: Any) -> "Forest":
        """The trees that `predict` uses. Raises ValueError on what no ONNX tree can say."""
        told = booster.dump_model()
        trees = tuple(info["tree_structure"] for info in told["tree_info"])
        targets = int(told["num_tree_per_iteration"])
        splits = [node for tree in trees for node in _nodes(tree) if "split_feature" in node]
        if any("leaf_coeff" in node for tree in trees for node in _nodes(tree)):
            raise ValueError("its leaves are linear models (linear_tree), which no ONNX tree has.")
        kinds = {(node["split_feature"], node["missing_type"]) for node in splits if node["decision_type"] == "<="}
        zero = frozenset(feature for feature, kind in kinds if kind == "Zero")
        if zero & {feature for feature, kind in kinds if kind != "Zero"}:
            raise ValueError("some of its trees count zero as missing, others do not.")
        return cls(
            trees,
            targets,
            str(told.get("objective", "")),
            len(trees) // targets if told["average_output"] else 1,
            int(told["max_feature_idx"]) + 1,
            frozenset(node["split_feature"] for node in splits if node["decision_type"] == "=="),
            zero,
        )

    def attributes(self) -> dict[str, Any]:
        """Of a TreeEnsembleRegressor (ai.onnx.ml 3) that sums the leaves."""
        out = _Attributes()
        for at, tree in enumerate(self.trees):
            out.add_tree(at, at % self.targets, tree)
        return {"n_targets": self.targets, "aggregate_function": "SUM", "post_transform": "NONE", **out.columns}


class _Attributes:
    def __init__(self) -> None:
        names = "treeids nodeids featureids modes values truenodeids falsenodeids missing_value_tracks_true".split()  # noqa: SIM905
        self.columns: dict[str, list[Any]] = {f"nodes_{name}": [] for name in names}
        self.columns |= {f"target_{name}": [] for name in ("treeids", "nodeids", "ids", "weights")}

    def add_tree(self, tree: int, target: int, root: Tree) -> None:
        """A node of LightGBM is one here; a split by n categories is a chain of n, which share their children."""
        ids = {id(node): at for at, node in enumerate(_nodes(root))}
        extra = len(ids)
        for node in _nodes(root):
            here = ids[id(node)]
            if "split_feature" not in node:
                self._node(tree, here, 0, "LEAF", 0.0, 0, 0, 0)
                weight = (tree, here, target, float(node["leaf_value"]))
                for name, value in zip(("treeids", "nodeids", "ids", "weights"), weight, strict=True):
                    self.columns[f"target_{name}"].append(value)
                continue
            left, right, feature = ids[id(node["left_child"])], ids[id(node["right_child"])], node["split_feature"]
            if node["decision_type"] == "<=":
                value, missing = _split(node)
                self._node(tree, here, feature, "BRANCH_LEQ", value, left, right, missing)
                continue
            categories = _categories(node)
            for place, category in enumerate(categories):
                last = place == len(categories) - 1
                self._node(tree, here, feature, "BRANCH_EQ", category, left, right if last else extra, 0)
                here, extra = extra, extra + (not last)

    def _node(self, *values: Any) -> None:
        names = ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids")
        for name, value in zip((*names, "missing_value_tracks_true"), values, strict=True):
            self.columns[f"nodes_{name}"].append(value)


def _nodes(root: Tree) -> list[Tree]:
    """All nodes of a tree, the root first."""
    found, waiting = [], [root]
    while waiting:
        node = waiting.pop()
        found.append(node)
        if "split_feature" in node:
            waiting += [node["right_child"], node["left_child"]]
    return found


def _split(node: Tree) -> tuple[float, int]:
    """The float32 threshold that splits float32 rows alike, and whether a missing value goes left.

    Tiny numbers are zero to LightGBM, and so is a missing value to a split that never met one.
    """
    threshold = float(node["threshold"])
    missing = threshold >= 0 if node["missing_type"] == "None" else bool(node["default_left"])
    if 0 <= threshold <= ZERO:
        return float(ZERO), int(missing)
    if -ZERO <= threshold < 0:
        return float(np.nextafter(-ZERO, np.float32(-np.inf))), int(missing)
    return float(floor_float32(threshold)), int(missing)


def _categories(node: Tree) -> list[float]:
    categories = [int(text) for text in str(node["threshold"]).split("||")]
    if max(categories) > _EXACT_CATEGORY:
        raise ValueError(f"it knows the category {max(categories)}: above 2²⁴ float32 cannot tell categories apart.")
    return [float(category) for category in categories]
