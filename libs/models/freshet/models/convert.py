"""scikit-learn and LightGBM estimators → ONNX graphs with one output, the scores in the pipeline's order.

Needs the extra [pack].
"""

import sys
import warnings
from collections.abc import Sequence
from typing import Any, Final, cast

import numpy as np
from onnx import GraphProto, ModelProto, TensorProto, helper, numpy_helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.preprocessing import MaxAbsScaler, RobustScaler, StandardScaler

from freshet.models.errors import ModelError
from freshet.models.missing_routes import restore_missing_routes
from freshet.models.original import Original, is_booster, last_step

INPUT_NAME: Final = "features"
OUTPUT_NAME: Final = "scores"
_OPSET: Final = {"": 17, "ai.onnx.ml": 3}
# the converter's default multiplies by 1/scale: off by one bit, which sends rows down other branches of later trees
_EXACT: Final = {scaler: {"div": "div"} for scaler in (MaxAbsScaler, RobustScaler, StandardScaler)}


def to_onnx(original: Original, width: int, columns: Sequence[int | None]) -> bytes:
    """The ONNX file of a fitted estimator on `width` features: float32 in, float32 scores (rows, len(columns)) out.

    `columns` picks and orders the scores, see `class_columns`. The same estimator gives the same bytes: converters put
    random names and hash order into files, and we take them out. Raises ModelError if there is no converter for a part.
    """
    estimator = getattr(original.estimator, "best_estimator_", original.estimator)  # a search is its winner
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # what the converters should write otherwise
            model = _converted(estimator, width, classifier=original.labels is not None)
    except Exception as error:  # each converter fails in its own way
        raise ModelError(
            "pack_convert",
            f"{type(estimator).__name__} cannot be written as ONNX: {type(error).__name__}: {str(error)[:500]}",
        ) from error
    restore_missing_routes(model, estimator)
    scores = model.graph.output[-1].name  # a classifier has label and scores, a regressor just scores
    _order(model.graph, scores, columns)
    _keep_only(model.graph, OUTPUT_NAME, len(columns))
    return _canonical(model)


def _converted(estimator: Any, width: int, *, classifier: bool) -> ModelProto:
    if "lightgbm" in sys.modules:  # else nothing here can be LightGBM's
        from freshet.models.lightgbm_graphs import booster_graph, teach_skl2onnx  # noqa: PLC0415

        if is_booster(estimator):
            return booster_graph(estimator, INPUT_NAME, width)
        teach_skl2onnx()
    model = convert_sklearn(
        estimator,
        initial_types=[(INPUT_NAME, FloatTensorType([None, width]))],
        target_opset=_OPSET,
        options={**_EXACT, **({id(last_step(estimator)): {"zipmap": False}} if classifier else {})},
    )
    return cast(ModelProto, model)


def _order(graph: GraphProto, scores: str, columns: Sequence[int | None]) -> None:
    """Add a node that picks the columns; a product with zeros and ones is exact."""
    if list(columns) == list(range(len(columns))):
        graph.node.append(helper.make_node("Identity", [scores], [OUTPUT_NAME], name="scores_as_they_are"))
        return
    labels = sum(at is not None for at in columns)
    selection = np.zeros((labels, len(columns)), np.float32)
    for place, at in enumerate(columns):
        if at is not None:
            selection[at, place] = 1
    graph.initializer.append(numpy_helper.from_array(selection, "pipeline_order"))
    graph.node.append(helper.make_node("MatMul", [scores, "pipeline_order"], [OUTPUT_NAME], name="scores_in_order"))


def _keep_only(graph: GraphProto, output_name: str, width: int) -> None:
    """Make this the graph's only output, and drop what served others, such as labels as text."""
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(output_name, TensorProto.FLOAT, [None, width]))
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


def _canonical(model: ModelProto) -> bytes:
    """The file without what differs between two runs: random graph names, operator sets in hash order, remarks."""
    versions = {used.domain: used.version for used in model.opset_import}
    domains = {"", *(node.domain for node in model.graph.node)}
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(name, versions[name]) for name in sorted(domains))
    model.graph.name = "model"
    model.graph.doc_string = model.doc_string = model.domain = ""
    model.producer_name, model.producer_version, model.model_version = "freshet", "", 0
    del model.metadata_props[:]
    data: bytes = model.SerializeToString(deterministic=True)
    return data
