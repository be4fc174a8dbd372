"""Which graphs we run: decided on the parsed file, before any runtime sees it.

Parsing bytes of strangers is itself a risk, so services do it only in the sandboxed child; `pack` does it on the
user's own model. The file format: https://onnx.ai/onnx/repo-docs/IR.html.
"""

from collections.abc import Iterable
from typing import Final

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

from freshet.contracts.messages import Manifest
from freshet.models.contract import MIB, Limits
from freshet.models.model_error import ModelError
from freshet.models.operators import ALLOWED
from freshet.models.shapes import check_sizes, tensor_bytes

_MIN_OPSET: Final = {"": 7, "ai.onnx.ml": 1}
_MAX_OPSET: Final = {"": 26, "ai.onnx.ml": 5}  # what onnxruntime 1.31 runs, the oldest that a worker may have
_MIN_IR_VERSION: Final = 3
_MAX_IR_VERSION: Final = 13
_FLAT_ATTRIBUTES: Final = frozenset(
    {
        AttributeProto.FLOAT,
        AttributeProto.INT,
        AttributeProto.STRING,
        AttributeProto.TENSOR,
        AttributeProto.FLOATS,
        AttributeProto.INTS,
        AttributeProto.STRINGS,
        AttributeProto.TENSORS,
    }
)


def check_graph(data: bytes, manifest: Manifest, limits: Limits) -> None:
    """Raise ModelError with the first reason why this ONNX file may not run; bounded in time and memory by its size.

    A value whose size is not known for every number of rows up to `limits.max_batch_rows` is a reason, too.
    """
    model = read_model(data)
    _check_versions(model, manifest)
    _check_containers(model, limits)
    for node in model.graph.node:
        _check_node(node)
    _check_input(model, manifest)
    _check_output(model, manifest)
    check_sizes(model, manifest.input_name, manifest.digest, limits)


def read_model(data: bytes) -> ModelProto:
    """The parsed file; raises ModelError unless it is an ONNX model with a graph."""
    try:
        model = ModelProto()
        model.ParseFromString(data)
    except (DecodeError, RecursionError) as error:
        raise ModelError("graph_unreadable", f"it is not an ONNX file: {error}.") from error
    if not model.graph.node:
        raise ModelError("graph_unreadable", "it is not an ONNX file, or its graph has no node.")
    return model


def score_inputs(model: ModelProto) -> list[ValueInfoProto]:
    """The graph's real inputs: old files list their constants among them."""
    constants = {constant.name for constant in model.graph.initializer}
    return [given for given in model.graph.input if given.name not in constants]


def default_opset(model: ModelProto) -> int:
    """Version of the default operator set that the graph is written in; 0 if it names none."""
    return max((int(used.version) for used in model.opset_import if used.domain in {"", "ai.onnx"}), default=0)


def _check_versions(model: ModelProto, manifest: Manifest) -> None:
    if not _MIN_IR_VERSION <= model.ir_version <= _MAX_IR_VERSION:
        raise ModelError(
            "graph_opset",
            f"its format is IR version {model.ir_version}, not {_MIN_IR_VERSION} to {_MAX_IR_VERSION}: export it with "
            "an older onnx, or set model.ir_version.",
        )
    versions: dict[str, int] = {}
    for used in model.opset_import:
        domain = _domain(used.domain)
        if domain not in ALLOWED:
            raise ModelError("graph_domain", f"it imports operators of {domain!r}; allowed are {_listed(ALLOWED)}.")
        if not _MIN_OPSET[domain] <= used.version <= _MAX_OPSET[domain]:
            raise ModelError(
                "graph_opset",
                f"it needs version {used.version} of the operator set {domain or 'ai.onnx'}; known are "
                f"{_MIN_OPSET[domain]} to {_MAX_OPSET[domain]}: export it with another target opset.",
            )
        if versions.setdefault(domain, used.version) != used.version:
            raise ModelError("graph_opset", f"it names two versions of the operator set {domain or 'ai.onnx'}.")
    if default_opset(model) != manifest.opset:
        raise ModelError("graph_opset", f"it uses opset {default_opset(model)}, the manifest says {manifest.opset}.")


def _check_containers(model: ModelProto, limits: Limits) -> None:
    """What a file may hold beside nodes."""
    graph = model.graph
    if len(graph.node) > limits.max_nodes:
        raise ModelError("graph_nodes", f"it has {len(graph.node)} nodes, more than {limits.max_nodes}.")
    if model.functions or model.training_info:
        raise ModelError("graph_function", "it defines functions or training graphs; export it inlined, for inference.")
    if graph.sparse_initializer:
        raise ModelError("graph_sparse", "it has sparse constants; export them dense.")
    for constant in graph.initializer:
        _check_tensor(constant)
    total = sum(tensor_bytes(constant.data_type, constant.dims) for constant in graph.initializer)
    if total > limits.max_model_mb * MIB:
        raise ModelError(
            "graph_tensor_size", f"its constants claim {total} bytes, more than {limits.max_model_mb} MiB."
        )


def _check_node(node: NodeProto) -> None:
    domain = _domain(node.domain)
    if domain not in ALLOWED:
        raise ModelError("graph_domain", f"node {node.name!r} is of {domain!r}; allowed are {_listed(ALLOWED)}.")
    for attribute in node.attribute:  # by content, because the type that an attribute states may be a lie
        if attribute.HasField("g") or attribute.graphs:
            raise ModelError(
                "graph_control_flow", f"{node.op_type} holds a graph of its own: loops and branches are not allowed."
            )
        if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
            raise ModelError("graph_sparse", f"{node.op_type} holds a sparse constant; export it dense.")
        if attribute.type not in _FLAT_ATTRIBUTES or attribute.ref_attr_name:
            raise ModelError("graph_operator", f"attribute {attribute.name!r} of {node.op_type} is not a plain value.")
        for tensor in (attribute.t, *attribute.tensors):
            _check_tensor(tensor)
    if node.op_type not in ALLOWED[domain]:
        raise ModelError(
            "graph_operator",
            f"the operator {node.op_type} is not allowed; see freshet.models.operators for those that are.",
        )


def _check_tensor(tensor: TensorProto) -> None:
    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        raise ModelError("graph_external_data", f"constant {tensor.name!r} lies outside the file; save it as one file.")
    if any(size < 0 for size in tensor.dims):
        raise ModelError("graph_tensor_size", f"constant {tensor.name!r} has a negative size.")


def _check_input(model: ModelProto, manifest: Manifest) -> None:
    inputs = score_inputs(model)
    if [given.name for given in inputs] != [manifest.input_name]:
        raise ModelError(
            "graph_input",
            f"its inputs are {_listed(given.name for given in inputs)}, not just {manifest.input_name!r}.",
        )
    kind = inputs[0].type
    sizes = kind.tensor_type.shape.dim
    width = len(manifest.inputs)
    if kind.tensor_type.elem_type != TensorProto.FLOAT or len(sizes) != 2:
        raise ModelError("graph_input", "its input is not float32 (rows, features): export it so.")
    if sizes[0].HasField("dim_value"):
        raise ModelError(
            "graph_input", f"it takes batches of {sizes[0].dim_value} rows only: leave the number of rows open."
        )
    if sizes[1].dim_value != width:
        raise ModelError(
            "graph_input", f"it takes {sizes[1].dim_value or 'any number of'} features, the manifest names {width}."
        )


def _check_output(model: ModelProto, manifest: Manifest) -> None:
    for output in model.graph.output:
        if not output.type.HasField("tensor_type"):
            raise ModelError("graph_output", f"output {output.name!r} is not a tensor: export it with zipmap off.")
    found = {output.name: output for output in model.graph.output}
    if manifest.output_name not in found:
        raise ModelError("graph_output", f"it has no output {manifest.output_name!r} but {_listed(found)}.")
    if found[manifest.output_name].type.tensor_type.elem_type not in {TensorProto.FLOAT, TensorProto.DOUBLE}:
        raise ModelError("graph_output", f"output {manifest.output_name!r} is not float32 or float64.")


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name or "ai.onnx") for name in names) or "none"
