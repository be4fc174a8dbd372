"""How large every value of a graph gets: known before anything runs, for every number of rows, or the graph is refused.

A size that follows from the values of a row is one that a single row can make as large as it likes: 547 bytes of ONNX
asked for 2 GB that way, on a row that no golden row resembles. A classifier on rows of numbers needs no such thing.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper, shape_inference

from freshet.models.contract import MIB, Limits
from freshet.models.model_error import ModelError

_INFERENCE_ELEMENTS: Final = 1024  # shapes and indices are small; larger constants cannot steer shape inference
_FEW_ROWS: Final = (1, 8)  # what a trickle scores: one row, and the padding of the scorer
_MORE_SIZES: Final = 3
_UNKNOWN_TYPE_BYTES: Final = 8

Sizes = list[int]


def check_sizes(model: ModelProto, rows_input: str, digest: str, limits: Limits) -> None:
    """Raise ModelError unless each value's size is known, and at most `limits.max_tensor_mb`. Changes the model.

    Judged for the largest batch, the smallest, and some between that `digest` draws: a graph can calculate with the
    number of its rows, and be small exactly where it is known to be looked at.
    """
    _strip(model)
    for rows in _batch_sizes(digest, limits.max_batch_rows):
        given = next(value for value in model.graph.input if value.name == rows_input)
        given.type.tensor_type.shape.dim[0].dim_value = rows
        _check_at(model, rows, limits)


def _batch_sizes(digest: str, largest: int) -> list[int]:
    """The numbers of rows at which a graph is judged, the largest first; the same digest gives the same."""
    drawn = [1 + int(digest[8 * at : 8 * at + 8], 16) % largest for at in range(_MORE_SIZES)]
    return list(dict.fromkeys([largest, *(rows for rows in _FEW_ROWS if rows <= largest), *drawn]))


def _strip(model: ModelProto) -> None:
    """Leave what decides sizes: small constants, and neither trees nor what the file claims about its own values."""
    graph = model.graph
    small = [constant for constant in graph.initializer if math.prod(constant.dims) <= _INFERENCE_ELEMENTS]
    declared = {given.name for given in graph.input}
    for constant in graph.initializer:
        if constant.name not in declared:
            graph.input.append(helper.make_tensor_value_info(constant.name, constant.data_type, constant.dims))
    del graph.initializer[:]
    graph.initializer.extend(small)
    for output in graph.output:
        output.type.tensor_type.ClearField("shape")
    for node in graph.node:
        if node.op_type.startswith("TreeEnsemble"):
            kept = [at for at in node.attribute if not at.name.startswith(("nodes_", "class_", "target_", "leaf_"))]
            del node.attribute[:]
            node.attribute.extend(kept)


def _check_at(model: ModelProto, rows: int, limits: Limits) -> None:
    """Infer every value's size at this number of rows; where onnx knows no rule, ours is filled in, and it goes on."""
    graph = model.graph
    del graph.value_info[:]
    ours: dict[str, ValueInfoProto] = {}
    while True:
        try:
            inferred = shape_inference.infer_shapes(model, data_prop=True).graph
        except (shape_inference.InferenceError, ValueError, RuntimeError) as error:
            raise ModelError("graph_unreadable", f"its shapes contradict each other: {error}.") from error
        # onnx does not take the size of an output from us, so that ours goes on top
        values = {value.name: value for value in (*inferred.input, *inferred.value_info, *inferred.output)} | ours
        _check_known(values, rows, limits)
        unknown = [node for node in graph.node if not all(_sizes(values, name) for name in node.output if name)]
        if not unknown:
            return
        filled = {value.name: value for value in _filled(unknown, values, model)}
        if not filled:
            raise _unknown(unknown[0], values)
        ours |= filled  # never the same again: what is in `ours` is known
        del graph.value_info[:]
        graph.value_info.extend(ours.values())


def _check_known(values: Mapping[str, ValueInfoProto], rows: int, limits: Limits) -> None:
    for name, value in values.items():
        known = [size.dim_value for size in value.type.tensor_type.shape.dim if size.HasField("dim_value")]
        size_bytes = tensor_bytes(value.type.tensor_type.elem_type, known)
        if size_bytes > limits.max_tensor_mb * MIB:
            raise ModelError(
                "graph_tensor_size",
                f"{name[:100]!r} takes {size_bytes} bytes at {rows} rows, the limit is {limits.max_tensor_mb} MiB.",
            )


def _unknown(node: NodeProto, values: Mapping[str, ValueInfoProto]) -> ModelError:
    output = next(name for name in node.output if name and not _sizes(values, name))
    return ModelError(
        "graph_tensor_size",
        f"the size of {output[:100]!r} is not known before it runs: {node.op_type} node {node.name[:100]!r} makes it "
        "from values, or knows no size. Export the model with fixed sizes; only the number of rows may be open.",
    )


def _sizes(values: Mapping[str, ValueInfoProto], name: str) -> tuple[Sizes] | None:
    """The known sizes of a value, wrapped (a scalar has none, and is known); None unless all are."""
    value = values.get(name)
    if value is None or not value.type.tensor_type.HasField("shape"):
        return None
    sizes = value.type.tensor_type.shape.dim
    return ([size.dim_value for size in sizes],) if all(size.HasField("dim_value") for size in sizes) else None


def _filled(
    unknown: Sequence[NodeProto], values: Mapping[str, ValueInfoProto], model: ModelProto
) -> Iterator[ValueInfoProto]:
    """Values of unknown size for which we have a rule, and whose node has an input of known size."""
    constants = {constant.name: constant for constant in model.graph.initializer}
    for node in unknown:
        found = [known[0] if (known := _sizes(values, name)) else None for name in node.input]
        rule = _outputs(node, found, constants)
        for name, sizes in zip(node.output, rule or (), strict=False):
            if name and not _sizes(values, name):
                kind = values[name].type.tensor_type.elem_type if name in values else TensorProto.UNDEFINED
                yield helper.make_tensor_value_info(name, kind or TensorProto.FLOAT, sizes)


def _outputs(
    node: NodeProto, inputs: Sequence[Sizes | None], constants: Mapping[str, TensorProto]
) -> list[Sizes] | None:
    """Sizes of a node's outputs where onnx has no rule of its own (seen with onnx 1.21); None where we have none."""
    if not inputs or not inputs[0]:
        return None
    given = inputs[0]
    rows = [given[0]] if len(given) > 1 else [1]
    found: list[Sizes] | None = None
    match node.op_type:
        case "TreeEnsembleClassifier" | "LinearClassifier":
            found = [rows, [*rows, _classes(node)]]
        case "SVMClassifier":
            found = [rows, [*rows, _svm_scores(node)]]
        case "TreeEnsembleRegressor" | "TreeEnsemble":
            found = [[*rows, max(0, _integer(node, "n_targets", 1))]]
        case "LinearRegressor":
            found = [[*rows, max(0, _integer(node, "targets", 1))]]
        case "SVMRegressor":
            found = [[*rows, 1]]
        case "Normalizer" | "Scaler" | "Imputer" | "Binarizer" | "LabelEncoder":
            found = [given]
        case "ArrayFeatureExtractor" if len(inputs) > 1 and inputs[1] is not None:
            found = [[*(given[:-1] or [1]), math.prod(inputs[1])]]
        case "OneHotEncoder":
            found = [[*given, max(_length(node, "cats_int64s"), _length(node, "cats_strings"))]]
        case "OneHot":
            found = _one_hot(node, given, constants)
    return found


def _svm_scores(node: NodeProto) -> int:
    """One score per class if it was calibrated or is linear, else one per pair of classes."""
    classes = _classes(node)
    if _length(node, "prob_a") or not _length(node, "vectors_per_class"):
        return classes
    return max(2, classes * (classes - 1) // 2)


def _one_hot(node: NodeProto, given: Sizes, constants: Mapping[str, TensorProto]) -> list[Sizes] | None:
    depth = constants.get(node.input[1]) if len(node.input) > 1 else None
    axis = _integer(node, "axis", -1)
    at = axis if axis >= 0 else len(given) + 1 + axis
    if depth is None or not 0 <= at <= len(given):
        return None
    width = max(0, int(numpy_helper.to_array(depth).reshape(-1)[0]))
    return [[*given[:at], width, *given[at:]]]


def _classes(node: NodeProto) -> int:
    names = ("classlabels_int64s", "classlabels_ints", "classlabels_strings")
    return max(1, *(_length(node, name) for name in names))


def _length(node: NodeProto, name: str) -> int:
    return next((max(len(at.ints), len(at.strings), len(at.floats)) for at in node.attribute if at.name == name), 0)


def _integer(node: NodeProto, name: str, default: int) -> int:
    return next((at.i for at in node.attribute if at.name == name), default)


def tensor_bytes(data_type: int, sizes: Sequence[int]) -> int:
    """Bytes of a tensor; of one whose type is not known, an upper bound. Raises ModelError on a type that is none."""
    if data_type == TensorProto.UNDEFINED:
        return math.prod(sizes) * _UNKNOWN_TYPE_BYTES if sizes else 0
    if data_type not in TensorProto.DataType.values():
        raise ModelError("graph_unreadable", f"it has a tensor of unknown type {data_type}.")
    return math.prod(sizes) * helper.tensor_dtype_to_np_dtype(data_type).itemsize
