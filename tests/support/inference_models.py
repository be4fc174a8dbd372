"""Real models for inference's tests: a softmax over linear scores, as ONNX bytes with a manifest."""

from collections.abc import Sequence

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from freshet.contracts.arrays import Floats32
from freshet.contracts.messages import Manifest
from freshet.models.manifest import make_manifest

OPSET = 17


def softmax_model(weights: Floats32) -> bytes:
    """ONNX bytes of softmax(rows @ weights); weights are float32 (inputs, classes)."""
    inputs, classes = weights.shape
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node("Softmax", ["z"], ["y"], axis=1)],
        "softmax",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, inputs])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, classes])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    return bytes(model.SerializeToString())


def softmax_manifest(
    data: bytes, weights: Floats32, inputs: Sequence[str], classes: Sequence[str], pipeline: str
) -> Manifest:
    """The manifest of `softmax_model(weights)`, with eight golden rows."""
    rows = np.random.default_rng(1).normal(size=(8, len(inputs))).astype(np.float32)
    scores = np.exp(rows @ weights)
    return make_manifest(
        data,
        pipeline=pipeline,
        inputs=inputs,
        classes=classes,
        input_name="x",
        output_name="y",
        opset=OPSET,
        golden_features=rows,
        golden_scores=(scores / scores.sum(axis=1, keepdims=True)).astype(np.float32),
        trainer="test",
    )
