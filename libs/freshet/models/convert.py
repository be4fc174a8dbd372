"""scikit-learn and LightGBM estimators → ONNX graphs with one output, the scores in the pipeline's order.

Needs the extra [pack].
"""

import re
import sys
import warnings
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, cast

import numpy as np
from onnx import ModelProto, helper, numpy_helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType

from freshet.models import scalers
from freshet.models.model_error import ModelError
from freshet.models.original import Original, is_booster, last_step, parts_of
from freshet.models.scores_output import put_in_order
from freshet.models.sklearn_trees import restore_splits

INPUT_NAME: Final = "features"
_ASKS_FOR_A_REPORT: Final = re.compile(r"[^.]*\b(raise|open|fill)\b[^.]*\bis+ue\b.*")
_NO_CONVERTER: Final = re.compile(
    r"Unable to find a (?:shape calculator|converter) for type '<class '(?:\w+\.)*(\w+)'>'"
)
_OPSET: Final = {"": 17, "ai.onnx.ml": 3}


class Converted(NamedTuple):
    """An ONNX file, and the name of its scores."""

    data: bytes
    output_name: str


def to_onnx(original: Original, width: int, columns: Sequence[int | None]) -> Converted:
    """The ONNX file of a fitted estimator on `width` features: float32 in, float32 scores (rows, len(columns)) out.

    `columns` picks and orders the scores, see `class_order`. The same estimator gives the same bytes: converters put
    random names and hash order into files, and we take them out. Raises ModelError if there is no converter for a part.
    """
    estimator = getattr(original.estimator, "best_estimator_", original.estimator)  # a search is its winner
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # what the converters should write otherwise
            model = _converted(estimator, width, classifier=original.kind == "classes")
    except Exception as error:  # each converter fails in its own way
        raise ModelError(
            "pack_convert",
            f"{type(last_step(estimator)).__name__} cannot be written as ONNX: {_why(estimator, error)}",
        ) from error
    restore_splits(model, estimator)
    scores = model.graph.output[-1].name  # a classifier has label and scores, a regressor just scores
    if original.kind == "detector":
        scores = _as_column(model, scores)
    out = put_in_order(model, scores, columns)
    return Converted(_canonical(model), out)


def _why(estimator: Any, error: Exception) -> str:
    """What keeps it from being written, and what to do. Converters ask for reports to their own authors: left out."""
    if any(getattr(part, "encode", "") == "onehot" for part in parts_of(estimator)):
        return (
            "KBinsDiscretizer(encode='onehot') gives sparse columns, which ONNX does not know. Fit it with "
            "encode='onehot-dense', which gives the same numbers."
        )
    if unknown := _NO_CONVERTER.search(str(error)):
        part = unknown[1]
        return f"there is no converter for its part {part}. Compute that in the pipeline's features, or leave it out."
    said = _ASKS_FOR_A_REPORT.sub("", " ".join(str(error).split()))[:300]
    return f"{type(error).__name__}: {said} If its library has an ONNX export of its own, pack that .onnx file."


def _converted(estimator: Any, width: int, *, classifier: bool) -> ModelProto:
    scalers.teach_skl2onnx()
    if "lightgbm" in sys.modules:  # else nothing here can be LightGBM's
        from freshet.models import lightgbm_graphs  # noqa: PLC0415

        lightgbm_graphs.teach_skl2onnx()
    answers_labels = classifier and not is_booster(estimator)
    model = convert_sklearn(
        estimator,
        initial_types=[(INPUT_NAME, FloatTensorType([None, width]))],
        target_opset=_OPSET,
        options={id(last_step(estimator)): {"zipmap": False}} if answers_labels else None,
    )
    return cast(ModelProto, model)


def _as_column(model: ModelProto, scores: str) -> str:
    """A detector's scores as one column: some converters give a vector."""
    model.graph.initializer.append(numpy_helper.from_array(np.array([-1, 1], np.int64), "one_column"))
    model.graph.node.append(helper.make_node("Reshape", [scores, "one_column"], ["column_of_scores"]))
    return "column_of_scores"


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
