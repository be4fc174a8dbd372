"""LightGBM's models as ONNX nodes, also as a step of a Pipeline. Imported only where LightGBM is loaded already.

The published converter rounds thresholds to the nearest float32, compares categories without truncating, and knows
neither `zero_as_missing` nor what a missing value is to a model that never met one. So the trees are written here.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from lightgbm import Booster, LGBMClassifier, LGBMRanker, LGBMRegressor
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType

from freshet.models.lightgbm_trees import ZERO, Forest

_IDENTITY: Final = frozenset(
    "regression regression_l1 huber fair quantile mape lambdarank rank_xendcg custom".split()  # noqa: SIM905
)
_EXPONENTIAL: Final = frozenset({"poisson", "gamma", "tweedie"})
_OPTIONS: Final = {"nocl": [True, False], "zipmap": [True, False, "columns"], "raw_scores": [True, False]}

Node = Callable[..., str]


def teach_skl2onnx() -> None:
    """Let skl2onnx write LightGBM's models. Twice is once."""
    update_registered_converter(LGBMClassifier, "FreshetLgbmClassifier", _classifier_shapes, _write, options=_OPTIONS)
    for kind in (LGBMRegressor, LGBMRanker, Booster):
        update_registered_converter(kind, f"Freshet{kind.__name__}", _value_shapes, _write)


def _classifier_shapes(operator: Any) -> None:
    rows = operator.inputs[0].get_first_dimension()
    operator.outputs[0].type = Int64TensorType([rows])
    operator.outputs[1].type = FloatTensorType([rows, operator.raw_operator.n_classes_])


def _value_shapes(operator: Any) -> None:
    operator.outputs[0].type = FloatTensorType([operator.inputs[0].get_first_dimension(), None])


def _write(scope: Any, operator: Any, container: Any) -> None:
    """Features → trees → scores as `predict` or `predict_proba` gives them; a label, which nobody reads, beside it."""
    model = operator.raw_operator
    booster = model if isinstance(model, Booster) else model.booster_

    def node(kind: str, *inputs: str, domain: str = "", out: str = "", **attributes: Any) -> str:
        name: str = out or scope.get_unique_variable_name("lgbm")
        version = container.target_opset_any_domain(domain)
        container.add_node(
            kind,
            list(inputs),
            [name],
            op_domain=domain,
            op_version=version,
            name=scope.get_unique_operator_name(kind),
            **attributes,
        )
        return name

    def constant(values: Any, kind: int = 1) -> str:
        name: str = scope.get_unique_variable_name("lgbm_constant")
        values = np.asarray(values)
        container.add_initializer(name, kind, list(values.shape), values.ravel().tolist())
        return name

    forest = Forest.of(booster)
    rows = _prepared(forest, operator.inputs[0].full_name, node, constant)
    raw = node("TreeEnsembleRegressor", rows, domain="ai.onnx.ml", **forest.attributes())
    if forest.averaged_over > 1:
        raw = node("Div", raw, constant([float(forest.averaged_over)]))
    if isinstance(model, LGBMClassifier) and scope.get_options(model, {"raw_scores": False})["raw_scores"]:
        scores = raw if forest.targets > 1 else node("Concat", node("Neg", raw), raw, axis=1)  # a calibrator asks so
    else:
        scores = _linked(forest.objective, raw, node, constant)
    node("Identity", scores, out=operator.outputs[-1].full_name)
    if isinstance(model, LGBMClassifier):
        node("ArgMax", scores, out=operator.outputs[0].full_name, axis=1, keepdims=0)


def _prepared(forest: Forest, rows: str, node: Node, constant: Callable[..., str]) -> str:
    """Columns as LightGBM looks at them: categories cut to whole numbers, zeros as missing where it counts them so."""
    width = forest.width
    if forest.categorical:
        chosen = constant([[at in forest.categorical for at in range(width)]], 9)
        whole = node("Mul", node("Sign", rows), node("Floor", node("Abs", rows)))
        rows = node("Where", chosen, whole, rows)
    if forest.zero_missing:
        chosen = constant([[at in forest.zero_missing for at in range(width)]], 9)
        zero = node("And", chosen, node("LessOrEqual", node("Abs", rows), constant([float(ZERO)])))
        rows = node("Where", zero, constant([float("nan")]), rows)
    return rows


def _linked(objective: str, raw: str, node: Node, constant: Callable[..., str]) -> str:
    """The scores that this objective makes of the sums of leaves; raises ValueError for one that we do not know."""
    name, *rest = objective.split() or ["custom"]
    settings = dict(part.partition(":")[::2] for part in rest)
    if name in _EXPONENTIAL:
        return node("Exp", raw)
    if name == "regression" and "sqrt" in settings:
        return node("Mul", node("Sign", raw), node("Mul", raw, raw))
    if name in _IDENTITY:
        return raw
    if name == "multiclass":
        return node("Softmax", raw, axis=1)
    if name in {"binary", "multiclassova", "cross_entropy"}:
        steepness = float(settings.get("sigmoid", "1"))
        scaled = raw if steepness == 1 else node("Mul", raw, constant([steepness]))
        likely = node("Sigmoid", scaled)
        if name != "binary":
            return likely
        return node("Concat", node("Sub", constant([1.0]), likely), likely, axis=1)
    raise ValueError(f"LightGBM's objective {objective!r} is not known here.")
