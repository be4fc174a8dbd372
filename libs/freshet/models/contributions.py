"""What each feature contributed to an answer, for graphs that add up: linear models and sums of trees.

The graph's sum is computed here once more, and has to explain every row that was packed with the model: a graph that
does something else behind its sum, or before it, is said to have no contributions rather than wrong ones.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from freshet.contracts.arrays import Floats, Floats32
from freshet.contracts.messages import Manifest
from freshet.models.contract import TOLERANCE
from freshet.models.gaps import row_gaps
from freshet.models.graph import read_model
from freshet.models.manifest import golden_rows
from freshet.models.model_error import ModelError
from freshet.models.tree_sums import TreeSum, tree_sum

LINEAR: Final = "coefficient × value (as scaled by the model), added to the intercept"
TREES: Final = (
    "exact interventional Shapley values of the trees (Lundberg et al. 2020), against the mean of the {rows} rows "
    "packed with the model"
)
_VISITS: Final = 20_000_000
"""Leaves times rows; at most so many are looked at, in some 10 s."""
_TREES: Final = frozenset({"TreeEnsembleClassifier", "TreeEnsembleRegressor"})
_LINEAR: Final = frozenset({"LinearClassifier", "LinearRegressor", "MatMul", "Gemm"})


@dataclass(frozen=True, slots=True)
class Contributions:
    """A sum that gives the score of one class, or the value: `baseline` and what each feature adds to it."""

    method: str
    scale: str
    """What the sum is: such as log-odds, or the value itself."""
    baseline: float
    features: Mapping[str, float]
    """By input, in the model's order."""

    @property
    def total(self) -> float:
        """The raw score."""
        return self.baseline + sum(self.features.values())


class _Sum(Protocol):
    """What both kinds of sum can do."""

    def raw(self, rows: Any) -> Floats: ...

    def baseline(self, others: Any) -> Floats: ...

    def contributions(self, row: Any, others: Any) -> Floats: ...


def contributions(data: bytes, manifest: Manifest, row: Floats32, scores: Floats32) -> Contributions:
    """What the model's inputs in `row` contributed to its answer, `scores`: to the highest of them, or to the value.

    Raises ModelError, `contributions`, with a sentence why there are none.
    """
    summed, rows = _sum_of(read_model(data), np.concatenate([golden_rows(manifest)[0], row[None]]))
    raw, expected = summed.raw(rows), np.concatenate([golden_rows(manifest)[1], scores[None]])
    scale, column, sign, shift = _reading(raw, expected, int(scores.argmax()))
    others, mine = rows[:-1][:: _every(summed, len(rows))], rows[-1]
    parts = sign * summed.contributions(mine, others)[:, column]
    return Contributions(
        TREES.format(rows=len(others)) if isinstance(summed, TreeSum) else LINEAR,
        scale,
        shift + sign * float(summed.baseline(others)[column]),
        dict(zip(manifest.inputs, parts.tolist(), strict=True)),
    )


def _every(summed: _Sum, rows: int) -> int:
    """Every which of the packed rows an answer is compared with: of many leaves only few rows, as a person waits."""
    return min(1 + summed.leaves * rows // _VISITS, 8) if isinstance(summed, TreeSum) else 1


def _reading(raw: Floats, expected: Floats32, at: int) -> tuple[str, int, int, float]:
    """What the sums are for the score in column `at`: their scale, the column of the sum, its sign, and what to add."""
    for scale, found, column, sign, shift in _readings(raw, expected.shape[1], at):
        if float(row_gaps(expected[:, at : at + 1], found[:, None].astype(np.float32)).max()) <= TOLERANCE:
            return scale, column, sign, shift
    raise _none("the sum in its graph is not what its scores are made of")


def _readings(raw: Floats, outputs: int, at: int) -> Iterator[tuple[str, Floats, int, int, float]]:
    """Ways in which a column of sums may become this score; the likeliest first."""
    if outputs == 2 and raw.shape[1] == 1:  # one number for two classes
        sign = 1 if at else -1
        yield "log-odds", _logistic(sign * raw[:, 0]), 0, sign, 0.0
        yield "probability", raw[:, 0] if at else 1 - raw[:, 0], 0, sign, float(not at)
        return
    softmax = np.exp(raw - raw.max(axis=1, keepdims=True))
    softmax /= softmax.sum(axis=1, keepdims=True)
    logistic = _logistic(raw)
    ways = {
        "value" if outputs == 1 else "probability": raw,
        "logarithm of the value" if outputs == 1 else "logarithm of the probability": np.exp(np.minimum(raw, 700)),
        "log-odds": logistic,
        "log-odds against all others": logistic / logistic.sum(axis=1, keepdims=True),
        "logit of a softmax": softmax,
    }
    for column in sorted(range(raw.shape[1]), key=lambda column: column != at):
        for scale, found in ways.items():
            yield scale, found[:, column], column, 1, 0.0


def _logistic(raw: Floats) -> Floats:
    found: Floats = 1 / (1 + np.exp(-np.clip(raw, -700, 700)))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Linear:
    coefficients: Floats
    """(outputs, features)"""
    intercepts: Floats

    def raw(self, rows: Any) -> Floats:
        found: Floats = np.asarray(rows, np.float64) @ self.coefficients.T + self.intercepts
        return found

    def baseline(self, others: Any) -> Floats:  # noqa: ARG002  (the intercept, whatever else there is)
        return self.intercepts

    def contributions(self, row: Any, others: Any) -> Floats:  # noqa: ARG002  (its baseline is the intercept)
        found: Floats = (self.coefficients * np.asarray(row, np.float64)).T
        return found


def _sum_of(model: ModelProto, rows: Floats32) -> tuple[_Sum, Any]:
    """The first sum of the graph, and what it reads of these rows: a column of each feature, scaled or filled."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    columns: dict[str, Any] = {given.name: rows for given in model.graph.input if given.name not in constants}
    for node in model.graph.node:
        attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        first, *others = node.input or ("",)
        if node.op_type in _TREES | _LINEAR and first in columns:
            return _heart(node, attributes, [constants.get(name) for name in others]), columns[first]
        step = _STEPS.get(node.op_type)
        if step is None or first not in columns or not all(name in constants for name in others):
            raise _none(f"it computes {node.op_type}, so what it answers is no plain sum over its features")
        found = step(columns[first], [constants[name] for name in others], attributes)
        if found.shape != rows.shape:
            raise _none(f"its {node.op_type} makes other columns of its features")
        columns[node.output[0]] = found
    raise _none("its graph has no sum over its features")


def _heart(node: NodeProto, attributes: Mapping[str, Any], constants: list[Any]) -> _Sum:
    if node.op_type in {"MatMul", "Gemm"}:
        return _product(attributes, constants)
    if node.op_type in _LINEAR:
        coefficients = np.array(attributes["coefficients"], np.float64)
        outputs = int(attributes.get("targets", len(attributes.get("intercepts", [0.0]))))
        intercepts = np.array(attributes.get("intercepts", np.zeros(outputs)), np.float64)
        return _Linear(coefficients.reshape(outputs, -1), intercepts)
    tensors = {
        name.removesuffix("_as_tensor"): numpy_helper.to_array(value) if isinstance(value, TensorProto) else value
        for name, value in attributes.items()
    }
    trees = tree_sum(tensors)
    if trees is None:
        raise _none("its trees are not added up")
    return trees


def _product(attributes: Mapping[str, Any], constants: list[Any]) -> _Linear:
    """As MatMul and Gemm do with constants."""
    if any(constant is None for constant in constants) or attributes.get("transA", 0) or constants[0].ndim != 2:
        raise _none("it multiplies features with each other")
    weights = constants[0] if attributes.get("transB", 0) else constants[0].T
    added = attributes.get("beta", 1.0) * constants[1] if len(constants) > 1 else 0.0
    return _Linear(
        attributes.get("alpha", 1.0) * weights.astype(np.float64),
        np.broadcast_to(np.ravel(np.asarray(added, np.float64)), weights.shape[:1]).copy(),
    )


def _filled(rows: Any, attributes: Mapping[str, Any]) -> Any:
    """As an Imputer does."""
    missing = attributes.get("replaced_value_float", np.nan)
    holes = np.isnan(rows) if np.isnan(missing) else rows == np.float32(missing)
    return np.where(holes, np.array(attributes["imputed_value_floats"], np.float32), rows)


def _cast(rows: Any, attributes: Mapping[str, Any]) -> Any:
    return rows.astype(helper.tensor_dtype_to_np_dtype(attributes["to"]))


_Step = Callable[[Any, list[Any], Mapping[str, Any]], Any]
_STEPS: Final[Mapping[str, _Step]] = {
    "Identity": lambda rows, _constants, _attributes: rows,
    "Cast": lambda rows, _constants, attributes: _cast(rows, attributes),
    "Add": lambda rows, constants, _attributes: rows + constants[0],
    "Sub": lambda rows, constants, _attributes: rows - constants[0],
    "Mul": lambda rows, constants, _attributes: rows * constants[0],
    "Div": lambda rows, constants, _attributes: rows / constants[0],
    "Clip": lambda rows, constants, _attributes: np.clip(rows, *constants),
    "Scaler": lambda rows, _constants, attributes: (
        (rows - np.array(attributes["offset"], np.float32)) * np.array(attributes["scale"], np.float32)
    ),
    "Imputer": lambda rows, _constants, attributes: _filled(rows, attributes),
}
"""Steps before the sum, each of which makes of a feature's column another one."""


def _none(why: str) -> ModelError:
    return ModelError("contributions", f"no contributions of features can be told for this model: {why}.")
