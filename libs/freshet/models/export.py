"""What is to be packed, brought into one form: an ONNX file, and what is known about where it comes from."""

import json
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import numpy as np
from onnx import ModelProto, TensorProto

from freshet.contracts.arrays import Floats32, Ints
from freshet.models.classes import ClassOrder, Column, Labels, class_order, in_order, text_of
from freshet.models.contract import TOLERANCE
from freshet.models.gaps import row_gaps
from freshet.models.graph import default_opset, read_model, score_inputs
from freshet.models.graph_labels import graph_labels
from freshet.models.hard_rows import Score
from freshet.models.model_error import ModelError
from freshet.models.original import Original
from freshet.models.scores_output import put_in_order
from freshet.models.session import open_session

_LIBRARIES: Final = ("lightgbm", "numpy", "onnx", "onnxruntime", "scikit-learn", "skl2onnx")
_FLOATS: Final = frozenset({TensorProto.FLOAT, TensorProto.DOUBLE})


@dataclass(frozen=True, slots=True)
class Asked:
    """What the pipeline and the user ask of a model: its classes in order (none for a value), and what labels mean."""

    classes: tuple[str, ...]
    labels: Labels | None = None
    truths: Sequence[str] | None = None
    """Classes of the sample's rows, "" where not known."""
    expected: Floats32 | None = None
    """Scores of the sample's rows in the order of the classes, as the trainer of a ready file saw them."""


@dataclass(frozen=True, slots=True)
class Export:
    """An ONNX file with names of its input and its scores; `original` gives the trainer's scores for any rows."""

    data: bytes
    input_name: str
    output_name: str
    opset: int
    trainer: str
    original: Score | None = None
    chosen: Callable[[Floats32], Ints] | None = None
    """The place of the class that the trainer's own `predict` names for each row; -1 where it names none."""
    lineage: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def ready(data: bytes, output_name: str | None) -> Export:
    """A file that is ONNX already. Raises ModelError unless it has one input and its scores are clear."""
    model = read_model(data)
    inputs = [given.name for given in score_inputs(model)]
    floats = [out.name for out in model.graph.output if out.type.tensor_type.elem_type in _FLOATS]
    named = [name for name in floats if name == (output_name or "probabilities")]
    chosen = named or (floats if output_name is None else [])
    if len(inputs) != 1 or len(chosen) != 1:
        raise ModelError(
            "pack_input",
            f"the graph has the inputs {inputs} and the float outputs {floats}: it needs one input, and --output-name "
            "must say which output holds the scores (a map of probabilities: export it with zipmap off).",
        )
    return Export(data, inputs[0], chosen[0], default_opset(model), model.producer_name or "onnx")


def in_pipeline_order(export: Export, rows: Floats32, asked: Asked) -> Export:
    """A ready classifier with its scores in the order of the pipeline's classes; the file as it is if they are already.

    Raises ModelError unless the graph, the user, labelled rows or the trainer's scores say which column is which class.
    """
    model = read_model(export.data)
    order = _order_in_graph(model, export, rows, asked)
    export = replace(export, lineage={"classes": order.how}, notes=(f"classes: {order.how}",))
    if order.columns == tuple(range(len(asked.classes))):
        return export
    kinds = {output.name: output.type.tensor_type.elem_type for output in model.graph.output}
    out = put_in_order(model, export.output_name, order.columns, kinds[export.output_name])
    return replace(export, data=model.SerializeToString(deterministic=True), output_name=out)


def _order_in_graph(model: ModelProto, export: Export, rows: Floats32, asked: Asked) -> ClassOrder:
    try:
        found = open_session(export.data).run([export.output_name], {export.input_name: rows})[0]
    except Exception as error:  # onnxruntime's exceptions have no common base but this
        raise ModelError("model_load", f"onnxruntime cannot run it: {' '.join(str(error).split())[:300]}") from error
    scores = np.asarray(found, np.float32)
    if scores.ndim != 2 or scores.shape[1] < 2:
        raise ModelError(
            "pack_classes",
            f"its output {export.output_name!r} has the shape {scores.shape} for {len(rows)} rows; the pipeline has "
            f"{len(asked.classes)} classes: export a score for each class (for a sigmoid p: 1 - p and p).",
        )
    labels, told = graph_labels(model, export.output_name, rows), asked.labels
    columns = tuple(map(Column, range(scores.shape[1])))
    if labels and "" in labels:  # a label that no row shows
        told = told or {str(at): text_of(label, asked.classes) for at, label in enumerate(labels) if label != ""}
        labels = columns
    if not labels and told is None and asked.expected is not None:
        return _as_expected(scores, asked.expected, asked.classes)
    return class_order(labels or columns, asked.classes, told, scores, asked.truths)


def _as_expected(scores: Floats32, expected: Floats32, classes: Sequence[str]) -> ClassOrder:
    gaps = np.array([[row_gaps(want[:, None], have[:, None]).max() for have in scores.T] for want in expected.T])
    columns = tuple(gaps.argmin(axis=1).tolist())
    if len(set(columns)) != len(columns) or (np.sort(gaps, axis=1)[:, 1] <= TOLERANCE).any():
        raise ModelError("pack_classes", "the expected scores do not tell its columns apart: say --label NUMBER=CLASS.")
    told = ", ".join(f"column {at} is {name}" for at, name in zip(columns, classes, strict=True))
    return ClassOrder(columns, f"as the expected scores show: {told}")


def converted(model: object, width: int, rows: Floats32, asked: Asked) -> Export:
    """A fitted estimator on `width` features, with scores in the order of the pipeline's classes.

    `rows` are those of the sample that it answers.
    """
    from freshet.models.convert import INPUT_NAME, to_onnx  # noqa: PLC0415  (ready ONNX needs no converters)

    original = Original.of(model)
    order = order_of(original, rows, asked)

    def scores(some: Floats32) -> Floats32:
        with quietly():
            return in_order(original.scores(some), order.columns)

    def chosen(some: Floats32) -> Ints:
        places = {original.labels[at]: place for place, at in enumerate(order.columns) if at is not None}
        with quietly():
            return np.array([places.get(label, -1) for label in original.chosen(some) or [None] * len(some)], np.int64)

    file = to_onnx(original, width, order.columns)
    lineage = {"params": _params(model), "libraries": _libraries(), **({"classes": order.how} if order.how else {})}
    notes = [f"classes: {order.how}"] if original.kind == "classes" else []
    if original.kind == "detector":
        lineage["score"] = "decision_function: below 0 is an outlier"
        notes = ["it is a detector of outliers: its value is decision_function, and below 0 is an outlier"]
    return Export(
        file.data,
        INPUT_NAME,
        file.output_name,
        default_opset(read_model(file.data)),
        trainer_of(model),
        scores,
        chosen if original.kind == "classes" else None,
        lineage,
        tuple(notes),
    )


def order_of(original: Original, rows: Floats32, asked: Asked) -> ClassOrder:
    """The columns of the original's scores in the pipeline's order; raises ModelError if the targets do not fit."""
    if (original.kind == "classes") != bool(asked.classes):
        found = {
            "classes": "a classifier",
            "value": "a regression",
            "detector": "a detector of outliers, which gives a value",
        }
        wanted = "classes" if asked.classes else "a value"
        raise ModelError("pack_classes", f"the estimator is {found[original.kind]}; the pipeline's target is {wanted}.")
    if original.kind != "classes":
        return ClassOrder((0,), "")
    with quietly():
        return class_order(original.labels, asked.classes, asked.labels, original.scores(rows), asked.truths)


class quietly(warnings.catch_warnings):  # noqa: N801  (it reads like a word)
    """Without warnings: fitted with column names, asked with an array whose columns are in their order."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.simplefilter("ignore")


def trainer_of(model: Any) -> str:
    """Such as `sklearn.LogisticRegression`, or the steps of a Pipeline joined by ` > `."""
    steps = [step for _, step in model.steps] if hasattr(model, "steps") else [model]
    return " > ".join(f"{type(step).__module__.partition('.')[0]}.{type(step).__name__}" for step in steps)


def _params(model: Any) -> str:
    """The plain parameters as JSON; objects are left out, because their text may name addresses in memory."""
    params = model.get_params() if hasattr(model, "get_params") else model.params
    plain = {
        name: value for name, value in params.items() if value is None or isinstance(value, bool | int | float | str)
    }
    return json.dumps(plain, sort_keys=True)


@cache  # where a training is locked up, the files that say it can no longer be read: its rehearsal has asked before
def _libraries() -> str:
    """Versions of Python and of every library that had a hand in it."""
    found = ["python {}.{}.{}".format(*sys.version_info[:3])]
    for name in _LIBRARIES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)
