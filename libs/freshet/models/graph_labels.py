"""Which classes a ready ONNX graph says that its scores stand for."""

from typing import Any, Final

import numpy as np
from onnx import ModelProto, TensorProto

from freshet.contracts.arrays import Floats32
from freshet.models.graph import score_inputs
from freshet.models.session import open_session

_SAME_COLUMNS: Final = frozenset({"Identity", "Cast", "Normalizer", "Softmax", "Sigmoid", "Clip"})
_LABEL_TYPES: Final = frozenset({TensorProto.INT64, TensorProto.INT32, TensorProto.STRING, TensorProto.BOOL})


def graph_labels(model: ModelProto, scores: str, rows: Floats32) -> tuple[Any, ...]:
    """The labels in the order of the columns of `scores`; empty if the graph does not say.

    A classifier's node lists them. Else a graph that answers labels beside scores shows, on these rows, which label
    goes with which highest score; a label that was never seen is "".
    """
    return _written(model, scores) or _shown(model, scores, rows)


def _written(model: ModelProto, scores: str) -> tuple[Any, ...]:
    makers = {name: node for node in model.graph.node for name in node.output}
    node = makers.get(scores)
    while node is not None and node.op_type in _SAME_COLUMNS:
        node = makers.get(node.input[0])
    for attribute in node.attribute if node is not None else ():
        if attribute.name == "classlabels_strings" and attribute.strings:
            return tuple(text.decode() for text in attribute.strings)
        if attribute.name in {"classlabels_int64s", "classlabels_ints"} and attribute.ints:
            return tuple(attribute.ints)
    return ()


def _shown(model: ModelProto, scores: str, rows: Floats32) -> tuple[Any, ...]:
    labels = [out.name for out in model.graph.output if out.type.tensor_type.elem_type in _LABEL_TYPES]
    if len(labels) != 1:
        return ()
    try:
        session = open_session(model.SerializeToString())
        told, found = session.run([labels[0], scores], {score_inputs(model)[0].name: rows})
    except Exception:  # whatever is wrong with it, it says nothing here, and is refused later
        return ()
    if found.ndim != 2 or np.size(told) != len(rows):
        return ()
    return _paired(np.ravel(told), found)


def _paired(told: Any, scores: Any) -> tuple[Any, ...]:
    """The label of each column: that of the rows in which it is the highest; none if a column has two of them."""
    labels: list[Any] = [""] * scores.shape[1]
    ordered = np.sort(scores, axis=1)
    clear = np.isfinite(scores).all(axis=1)
    if scores.shape[1] > 1:
        clear &= ordered[:, -1] - ordered[:, -2] > 1e-6
    for at in range(scores.shape[1]):
        seen = set(told[clear & (scores.argmax(axis=1) == at)].tolist())
        if len(seen) > 1:
            return ()
        labels[at] = seen.pop() if seen else ""
    return tuple(labels) if any(label != "" for label in labels) else ()
