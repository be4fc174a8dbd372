"""What is to be packed, brought into one form: an ONNX file, and what is known about where it comes from."""

import json
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from onnx import TensorProto

from freshet.contracts.arrays import Floats32
from freshet.models.errors import ModelError
from freshet.models.graph import default_opset, read_model, score_inputs
from freshet.models.original import Original, class_columns, in_order
from freshet.models.parity import Score

_LIBRARIES: Final = ("lightgbm", "numpy", "onnx", "onnxmltools", "onnxruntime", "scikit-learn", "skl2onnx")


@dataclass(frozen=True, slots=True)
class Export:
    """An ONNX file with names of its input and its scores; `original` gives the trainer's scores for any rows."""

    data: bytes
    input_name: str
    output_name: str
    opset: int
    trainer: str
    original: Score | None = None
    lineage: Mapping[str, str] = field(default_factory=dict)


def ready(data: bytes, output_name: str | None) -> Export:
    """A file that is ONNX already, unchanged. Raises ModelError unless it has one input and its scores are clear."""
    model = read_model(data)
    inputs = [given.name for given in score_inputs(model)]
    floats = [
        output.name
        for output in model.graph.output
        if output.type.tensor_type.elem_type in {TensorProto.FLOAT, TensorProto.DOUBLE}
    ]
    named = [name for name in floats if name == (output_name or "probabilities")]
    chosen = named or (floats if output_name is None else [])
    if len(inputs) != 1 or len(chosen) != 1:
        raise ModelError(
            "pack_input",
            f"the graph has the inputs {inputs} and the float outputs {floats}: it needs one input, and output_name= "
            "must say which output holds the scores (a map of probabilities: export it with zipmap off).",
        )
    return Export(data, inputs[0], chosen[0], default_opset(model), model.producer_name or "onnx")


def converted(model: object, width: int, classes: Sequence[str], labels: Mapping[Any, str] | None) -> Export:
    """A fitted estimator on `width` features, with scores in the order of the pipeline's classes."""
    from freshet.models.convert import INPUT_NAME, OUTPUT_NAME, to_onnx  # noqa: PLC0415  (ready ONNX needs no converters)

    original = Original.of(model)
    if original.width not in {0, width}:
        raise ModelError(
            "pack_input",
            f"it was fitted on {original.width} features, but would be asked with {width}. Fit it on all features of "
            "the pipeline in their order, as `freshet pipeline features` writes them; or on some of them in a table "
            "that names its columns, for the estimator to remember.",
        )
    columns = class_columns(original.labels, classes, labels)

    def scores(rows: Floats32) -> Floats32:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # fitted with column names, asked with an array: the caller checked the names
            return in_order(original.scores(rows), columns)

    data = to_onnx(original, width, columns)
    lineage = {"params": _params(model), "libraries": _libraries()}
    return Export(data, INPUT_NAME, OUTPUT_NAME, default_opset(read_model(data)), _trainer(model), scores, lineage)


def _trainer(model: Any) -> str:
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


def _libraries() -> str:
    """Versions of Python and of every library that had a hand in it."""
    found = ["python {}.{}.{}".format(*sys.version_info[:3])]
    for name in _LIBRARIES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)
