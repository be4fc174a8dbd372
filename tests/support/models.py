"""Small ONNX models, good and otherwise, and manifests for them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from freshet.contracts.arrays import Floats32
from freshet.contracts.messages import Manifest
from freshet.models.contract import Contract, Limits
from freshet.models.manifest import make_manifest
from freshet.pipeline import PipelineSpec

FEATURES = ("amount", "age", "hour", "distance")
CLASSES = ("legit", "fraud")
LIMITS = Limits(max_batch_rows=500)
CONTRACT = Contract(FEATURES, CLASSES, LIMITS)
ROWS: Floats32 = np.random.default_rng(7).normal(size=(16, len(FEATURES))).astype(np.float32)
WEIGHTS: Floats32 = np.random.default_rng(8).normal(size=(len(FEATURES), len(CLASSES))).astype(np.float32)

_SPEC = """
pipeline: fraud
entity: card_id
event_id: event_id
event_time: event_time
features:
  version: 1
  columns:
    - {{kind: field, of: amount}}
    - {{kind: field, of: age}}
    - {{kind: field, of: hour}}
    - {{kind: field, of: distance}}
target: {target}
"""


def specification(target: str = "{classes: [legit, fraud]}") -> PipelineSpec:
    """A pipeline with the features that the models here read."""
    return PipelineSpec.parse(_SPEC.format(target=target))


def graph(
    nodes: Sequence[NodeProto],
    constants: dict[str, Any] | None = None,
    *,
    given: ValueInfoProto | None = None,
    answers: Sequence[ValueInfoProto] | None = None,
    opset: int = 17,
) -> ModelProto:
    """A model with the input `rows` (n, 4) and the output `scores` (n, 2), unless something else is said."""
    return helper.make_model(
        helper.make_graph(
            nodes,
            "test",
            [given or helper.make_tensor_value_info("rows", TensorProto.FLOAT, [None, len(FEATURES)])],
            answers or [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, len(CLASSES)])],
            [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()],
        ),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=8,
    )


def linear() -> bytes:
    """rows × WEIGHTS: a good model."""
    node = helper.make_node("MatMul", ["rows", "weights"], ["scores"])
    data: bytes = graph([node], {"weights": WEIGHTS}).SerializeToString()
    return data


def linear_scores(rows: Floats32) -> Floats32:
    """What `linear` answers."""
    return rows @ WEIGHTS


def softmax() -> bytes:
    """softmax(rows × WEIGHTS): a good classifier, whose graph does not say which column is which class."""
    nodes = [
        helper.make_node("MatMul", ["rows", "weights"], ["raw"]),
        helper.make_node("Softmax", ["raw"], ["scores"], axis=1),
    ]
    data: bytes = graph(nodes, {"weights": WEIGHTS}).SerializeToString()
    return data


def softmax_scores(rows: Floats32) -> Floats32:
    """What `softmax` answers."""
    powers = np.exp(linear_scores(rows))
    scores: Floats32 = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return scores


def manifest_of(data: bytes, scores: Floats32 | None = None, **but: Any) -> Manifest:
    """A manifest that fits the pipeline; golden scores are those of `linear` unless given."""
    fields: dict[str, Any] = {
        "pipeline": "fraud",
        "inputs": FEATURES,
        "classes": CLASSES,
        "input_name": "rows",
        "output_name": "scores",
        "opset": 17,
        "golden_features": ROWS,
        "golden_scores": linear_scores(ROWS) if scores is None else scores,
        "trainer": "test",
    }
    return make_manifest(data, **{**fields, **but})
