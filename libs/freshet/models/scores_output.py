"""The end of a graph: one output, the scores in the pipeline's order."""

from collections.abc import Sequence

import numpy as np
from onnx import GraphProto, ModelProto, TensorProto, helper, numpy_helper


def put_in_order(model: ModelProto, scores: str, columns: Sequence[int | None], kind: int = TensorProto.FLOAT) -> str:
    """Make the columns of `scores`, of that ONNX type, the graph's only output, in this order; None is a zero.

    Returns the output's name.
    """
    graph = model.graph
    used = {name for node in graph.node for name in (*node.input, *node.output)}
    used |= {value.name for values in (graph.input, graph.initializer) for value in values}
    out = next(name for name in ("scores", "pipeline_scores", "freshet_scores") if name not in used)
    if list(columns) == list(range(len(columns))):
        node = helper.make_node("Identity", [scores], [out], name="scores_as_they_are")
    elif None in columns:  # a product with zeros and ones is exact
        selection = np.zeros(
            (sum(at is not None for at in columns), len(columns)), helper.tensor_dtype_to_np_dtype(kind)
        )
        for place, at in enumerate(columns):
            if at is not None:
                selection[at, place] = 1
        graph.initializer.append(numpy_helper.from_array(selection, "pipeline_order"))
        node = helper.make_node("MatMul", [scores, "pipeline_order"], [out], name="scores_in_order")
    else:
        graph.initializer.append(numpy_helper.from_array(np.array(columns, np.int64), "pipeline_order"))
        node = helper.make_node("Gather", [scores, "pipeline_order"], [out], name="scores_in_order", axis=1)
    graph.node.append(node)
    _keep_only(graph, out, len(columns), kind)
    return out


def _keep_only(graph: GraphProto, output_name: str, width: int, kind: int) -> None:
    """Make this the graph's only output, and drop what served others, such as labels as text."""
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(output_name, kind, [None, width]))
    del graph.value_info[:]
    needed = {output_name}
    for index in reversed(range(len(graph.node))):
        node = graph.node[index]
        if needed.isdisjoint(node.output):
            del graph.node[index]
        else:
            needed.update(node.input)
    for index in reversed(range(len(graph.initializer))):
        if graph.initializer[index].name not in needed:
            del graph.initializer[index]
