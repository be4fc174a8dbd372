"""Models that somebody made to harm us: each is refused with its reason, in bounded time, and the parent stays well."""

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from freshet.models import admission
from freshet.models.admission import CHILD, Contract, admit
from freshet.models.fork_server import ForkServer
from freshet.models.sandbox import Ending, SandboxError
from support.models import CLASSES, CONTRACT, FEATURES, LIMITS, ROWS, WEIGHTS, graph, linear, linear_scores, manifest_of

pytestmark = pytest.mark.slow

node = helper.make_node


def _weighted() -> ModelProto:
    """A good graph, to be spoilt."""
    return graph([node("MatMul", ["rows", "weights"], ["scores"])], {"weights": WEIGHTS})


def _truncated() -> bytes:
    return linear()[:-3]


def _wide() -> ModelProto:
    given = helper.make_tensor_value_info("rows", TensorProto.FLOAT, [None, 5])
    return graph([node("MatMul", ["rows", "w"], ["scores"])], {"w": np.ones((5, 2), np.float32)}, given=given)


def _fixed_batch() -> ModelProto:
    given = helper.make_tensor_value_info("rows", TensorProto.FLOAT, [500, 4])
    return graph([node("MatMul", ["rows", "w"], ["scores"])], {"w": WEIGHTS}, given=given)


def _three_classes() -> ModelProto:
    return graph([node("MatMul", ["rows", "w"], ["scores"])], {"w": np.ones((4, 3), np.float32)})


def _not_a_number() -> ModelProto:
    minus = np.full((4, 2), -1, np.float32)
    nodes = [node("Abs", ["rows"], ["a"]), node("MatMul", ["a", "minus"], ["m"]), node("Log", ["m"], ["scores"])]
    return graph(nodes, {"minus": minus})


def _constant_bomb() -> ModelProto:
    """140 bytes that ask for 600 MB."""
    nodes = [
        node("ConstantOfShape", ["shape"], ["bomb"]),
        node("ReduceSum", ["bomb"], ["nothing"], keepdims=0),
        node("MatMul", ["rows", "weights"], ["linear"]),
        node("Add", ["linear", "nothing"], ["scores"]),
    ]
    return graph(nodes, {"shape": np.array([150_000_000]), "weights": WEIGHTS})


def _broadcast_bomb() -> ModelProto:
    """Two constants of 80 kB, and their sum of 1.6 GB."""
    tall, flat = np.zeros((20_000, 1), np.float32), np.zeros((1, 20_000), np.float32)
    nodes = [
        node("Add", ["tall", "flat"], ["bomb"]),
        node("ReduceSum", ["bomb"], ["nothing"], keepdims=0),
        node("MatMul", ["rows", "weights"], ["linear"]),
        node("Add", ["linear", "nothing"], ["scores"]),
    ]
    return graph(nodes, {"tall": tall, "flat": flat, "weights": WEIGHTS})


def _many_bombs() -> ModelProto:
    """Fifty tensors of 200 MB, each allowed alone, all needed at the end."""
    nodes = [node("ConstantOfShape", ["shape"], [f"bomb{i}"]) for i in range(50)]
    nodes += [
        node("Sum", [f"bomb{i}" for i in range(50)], ["sum"]),
        node("ReduceSum", ["sum"], ["nothing"], keepdims=0),
        node("MatMul", ["rows", "weights"], ["linear"]),
        node("Add", ["linear", "nothing"], ["scores"]),
    ]
    return graph(nodes, {"shape": np.array([50_000_000]), "weights": WEIGHTS})


def _hidden_bomb() -> ModelProto:
    """A size that follows from the data, so that nobody knows it before it runs: 10¹² floats."""
    nodes = [
        node("Shape", ["rows"], ["size"]),
        node("ReduceMax", ["rows"], ["largest"], keepdims=0),
        node("Mul", ["largest", "none"], ["zero"]),
        node("Cast", ["zero"], ["whole"], to=TensorProto.INT64),
        node("Add", ["whole", "many"], ["shape"]),
        node("ConstantOfShape", ["shape"], ["bomb"]),
        node("ReduceSum", ["bomb"], ["nothing"], keepdims=0),
        node("MatMul", ["rows", "weights"], ["linear"]),
        node("Add", ["linear", "nothing"], ["scores"]),
    ]
    return graph(nodes, {"none": np.float32(0), "many": np.array([10**12]), "weights": WEIGHTS})


def _first_value() -> list[NodeProto]:
    """Nodes that make a whole number of the batch's largest first feature: golden rows lie within ±4."""
    return [
        node("Slice", ["rows", "zero1", "one1", "axis1"], ["first"]),
        node("ReduceMax", ["first"], ["largest"], keepdims=0),
        node("Cast", ["largest"], ["whole"], to=TensorProto.INT64),
        node("Max", ["whole", "one"], ["size"]),
        node("Reshape", ["size", "shape1"], ["shape"]),
    ]


_FIRST = {
    "zero1": np.array([0]),
    "one1": np.array([1]),
    "axis1": np.array([1]),
    "one": np.array(1),
    "shape1": np.array([1]),
}


def _adding(nodes: list[NodeProto], nothing: str, constants: dict[str, Any]) -> ModelProto:
    """A good model that adds what these nodes make, and what should be zero."""
    end = [node("MatMul", ["rows", "weights"], ["linear"]), node("Add", ["linear", nothing], ["scores"])]
    return graph([*nodes, *end], {"weights": WEIGHTS, **constants})


def _value_bomb() -> ModelProto:
    """547 bytes, harmless on golden rows: a row that begins with 5e8 takes 2 GB."""
    nodes = [
        *_first_value(),
        node("ConstantOfShape", ["shape"], ["bomb"]),
        node("ReduceSum", ["bomb"], ["nothing"], keepdims=0),
    ]
    return _adding(nodes, "nothing", _FIRST)


def _range_bomb() -> ModelProto:
    """The same with time: as many numbers as a value says, sorted in one node that cannot be interrupted."""
    nodes = [
        *_first_value(),
        node("Range", ["zero", "size", "one"], ["many"]),
        node("Cast", ["many"], ["numbers"], to=TensorProto.FLOAT),
        node("TopK", ["numbers", "shape"], ["sorted", "at"]),
        node("ReduceMax", ["sorted"], ["top"], keepdims=0),
        node("Mul", ["top", "nil"], ["nothing"]),
    ]
    return _adding(nodes, "nothing", {**_FIRST, "zero": np.array(0), "nil": np.float32(0)})


def _one_hot_bomb() -> ModelProto:
    """A width that shape inference does not follow, though it is a constant."""
    nodes = [
        node("Cast", ["rows"], ["whole"], to=TensorProto.INT64),
        node("OneHot", ["whole", "depth", "off_on"], ["bomb"]),
        node("ReduceSum", ["bomb"], ["nothing"], keepdims=0),
    ]
    return _adding(nodes, "nothing", {"depth": np.array([100_000]), "off_on": np.zeros(2, np.float32)})


def _batch_size_bomb() -> ModelProto:
    """Nothing at the largest batch, at one row and at the 16 golden ones; gigabytes at others."""
    nodes = [
        node("Shape", ["rows"], ["sizes"]),
        node("Slice", ["sizes", "zero1", "one1"], ["count"]),
        *[
            step
            for at in (1, 8, 16, 500)
            for step in (
                node("Sub", ["count", f"n{at}"], [f"less{at}"]),
                node("Mul", [f"less{at}", f"less{at}"], [f"sq{at}"]),
            )
        ],
        node("Mul", ["sq1", "sq8"], ["a"]),
        node("Mul", ["sq16", "sq500"], ["b"]),
        node("Mul", ["a", "b"], ["shape"]),
        node("ConstantOfShape", ["shape"], ["bomb"]),
        node("ReduceSum", ["bomb"], ["nothing"], keepdims=0),
    ]
    counts = {f"n{at}": np.array([at]) for at in (1, 8, 16, 500)}
    return _adding(nodes, "nothing", {"zero1": np.array([0]), "one1": np.array([1]), **counts})


def _selection() -> ModelProto:
    """How many values are not zero is known to nobody before it runs; their outer sum would be 1.6 GB."""
    nodes = [
        node("NonZero", ["rows"], ["places"]),
        node("Cast", ["places"], ["numbers"], to=TensorProto.FLOAT),
        node("ReduceSum", ["numbers"], ["nothing"], keepdims=0),
    ]
    return _adding(nodes, "nothing", {})


def _long_chain() -> ModelProto:
    nodes = [node("Neg", ["rows" if not i else f"x{i - 1}"], [f"x{i}"]) for i in range(20_000)]
    return graph([*nodes, node("MatMul", ["x19999", "weights"], ["scores"])], {"weights": WEIGHTS})


def _endless_loop() -> ModelProto:
    body = helper.make_graph(
        [node("Identity", ["on"], ["still_on"]), node("Add", ["x", "x"], ["twice"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 4]),
        ],
        [
            helper.make_tensor_value_info("still_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("twice", TensorProto.FLOAT, [None, 4]),
        ],
    )
    nodes = [node("Loop", ["times", "", "rows"], ["far"], body=body), node("MatMul", ["far", "weights"], ["scores"])]
    return graph(nodes, {"times": np.array(2**62), "weights": WEIGHTS})


def _disguised_loop() -> ModelProto:
    """A loop whose body is said to be a number."""
    model = _endless_loop()
    model.graph.node[0].attribute[0].type = AttributeProto.INT
    return model


def _external_data() -> ModelProto:
    model = _weighted()
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="../../../../etc/hostname")
    return model


def _external_attribute() -> ModelProto:
    """The same, hidden in a node."""
    tensor = numpy_helper.from_array(WEIGHTS)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/proc/self/environ")
    return graph([node("Constant", [], ["weights"], value=tensor), node("MatMul", ["rows", "weights"], ["scores"])])


def _custom_domain() -> ModelProto:
    return graph([node("MatMul", ["rows", "weights"], ["scores"], domain="com.example")], {"weights": WEIGHTS})


def _contributed() -> ModelProto:
    model = _weighted()
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return model


def _future_opset() -> ModelProto:
    model = _weighted()
    model.opset_import[0].version = 999
    return model


def _random_numbers() -> ModelProto:
    return graph([node("RandomNormalLike", ["x"], ["scores"]), node("MatMul", ["rows", "w"], ["x"])], {"w": WEIGHTS})


def _sparse() -> ModelProto:
    model = _weighted()
    values = numpy_helper.from_array(np.ones(1, np.float32), "weights")
    indices = helper.make_tensor("at", TensorProto.INT64, [1, 2], [0, 0])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4, 2]))
    del model.graph.initializer[:]
    return model


def _function() -> ModelProto:
    model = _weighted()
    body = [node("Identity", ["a"], ["b"])]
    model.functions.append(helper.make_function("", "Own", ["a"], ["b"], body, [helper.make_opsetid("", 17)]))
    return model


def _zip_map() -> ModelProto:
    answers = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, 2])]
    pairs = helper.make_sequence_type_proto(
        helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    )
    answers.append(helper.make_value_info("pairs", pairs))
    nodes = [
        node("MatMul", ["rows", "weights"], ["scores"]),
        node("ZipMap", ["scores"], ["pairs"], domain="ai.onnx.ml", classlabels_int64s=[0, 1]),
    ]
    model = graph(nodes, {"weights": WEIGHTS}, answers=answers)
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    return model


def _labels_for_scores() -> ModelProto:
    answers = [helper.make_tensor_value_info("scores", TensorProto.INT64, [None, 2])]
    nodes = [node("MatMul", ["rows", "w"], ["x"]), node("Cast", ["x"], ["scores"], to=TensorProto.INT64)]
    return graph(nodes, {"w": WEIGHTS}, answers=answers)


def _boastful_constant() -> ModelProto:
    model = _weighted()
    model.graph.initializer[0].dims[:] = [2**40, 2]
    return model


def _negative_constant() -> ModelProto:
    model = _weighted()
    model.graph.initializer[0].dims[:] = [-4, 2]
    return model


def _circle() -> ModelProto:
    nodes = [node("Add", ["rows", "b"], ["a"]), node("Neg", ["a"], ["b"]), node("MatMul", ["a", "w"], ["scores"])]
    return graph(nodes, {"w": WEIGHTS})


def _far_index() -> ModelProto:
    return graph([node("Gather", ["rows", "far"], ["scores"], axis=1)], {"far": np.array([99, 99])})


def _endless_work() -> ModelProto:
    """Allowed operators, small tensors, and hours of work."""
    nodes = [node("ConstantOfShape", ["shape"], ["x0"])]
    nodes += [node("MatMul", [f"x{i}", f"x{i}"], [f"x{i + 1}"]) for i in range(1000)]
    nodes += [
        node("ReduceSum", ["x1000"], ["nothing"], keepdims=0),
        node("MatMul", ["rows", "weights"], ["linear"]),
        node("Add", ["linear", "nothing"], ["scores"]),
    ]
    return graph(nodes, {"shape": np.array([4096, 4096]), "weights": WEIGHTS})


def _heavy() -> ModelProto:
    """Right, and far too slow for what the test below allows."""
    nodes = [node("MatMul", ["rows", "up"], ["x0"])]
    nodes += [node("MatMul", [f"x{i}", "square"], [f"x{i + 1}"]) for i in range(20)]
    nodes += [node("MatMul", ["x20", "down"], ["scores"])]
    up, square, down = np.zeros((4, 512)), np.eye(512), np.zeros((512, 2))
    up[:, :4], down[:4] = np.eye(4), WEIGHTS
    return graph(nodes, {name: np.float32(value) for name, value in (("up", up), ("square", square), ("down", down))})


def _mixes_rows() -> ModelProto:
    nodes = [node("MatMul", ["rows", "weights"], ["x"]), node("CumSum", ["x", "axis"], ["scores"])]
    return graph(nodes, {"weights": WEIGHTS, "axis": np.array(0)})


@dataclass(frozen=True)
class Case:
    """A hostile model, and the reason for which it must be refused."""

    reason: str
    make: Callable[[], ModelProto | bytes]
    scores: Any = None
    limits: Any = LIMITS


CASES = [
    Case("graph_unreadable", lambda: np.random.default_rng(0).bytes(5000)),
    Case("graph_unreadable", lambda: b"\x18\x00\x00\x00ORTM" + bytes(1000)),
    Case("graph_unreadable", _truncated),
    Case("graph_input", _wide),
    Case("graph_input", _fixed_batch),
    Case("model_shape", _three_classes),
    Case("model_not_finite", _not_a_number),
    Case("graph_tensor_size", _constant_bomb),
    Case("graph_tensor_size", _broadcast_bomb),
    Case("model_memory", _many_bombs),
    Case("graph_tensor_size", _hidden_bomb),
    Case("graph_tensor_size", _value_bomb),
    Case("graph_tensor_size", _range_bomb),
    Case("graph_tensor_size", _one_hot_bomb),
    Case("graph_tensor_size", _batch_size_bomb),
    Case("graph_operator", _selection),
    Case("graph_nodes", _long_chain),
    Case("graph_control_flow", _endless_loop),
    Case("graph_control_flow", _disguised_loop),
    Case("graph_external_data", _external_data),
    Case("graph_external_data", _external_attribute),
    Case("graph_domain", _custom_domain),
    Case("graph_domain", _contributed),
    Case("graph_opset", _future_opset),
    Case("graph_operator", _random_numbers),
    Case("graph_operator", _zip_map),
    Case("graph_sparse", _sparse),
    Case("graph_function", _function),
    Case("graph_output", _labels_for_scores),
    Case("graph_tensor_size", _boastful_constant),
    Case("graph_tensor_size", _negative_constant),
    Case("graph_tensor_size", _circle),
    Case("model_exception", _far_index),
    Case("model_timeout", _endless_work, limits=replace(LIMITS, cpu_s=1)),
    Case("model_timeout", _endless_work, limits=replace(LIMITS, cpu_s=100, wall_s=8)),
    Case("model_slow", _heavy, limits=replace(LIMITS, max_batch_rows=5000, batch_p99_ms=1)),
    Case("model_golden", linear, scores=linear_scores(ROWS) + np.float32(0.001)),
    Case("model_mixes_rows", _mixes_rows, scores=np.cumsum(linear_scores(ROWS), axis=0)),
]


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _children() -> set[str]:
    """Of this process, also those that have ended and were not waited for; a test before may have left some."""
    found = set[str]()
    for file in Path("/proc/self/task").glob("*/children"):
        with suppress(FileNotFoundError):  # a thread has ended meanwhile
            found.update(file.read_text().split())
    return found


@pytest.fixture(params=["started", "forked"], scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[ForkServer | None]:
    """Each way to have a child: a process of its own, and one that is forked of a server."""
    if request.param == "started":
        yield None
        return
    with closing(ForkServer(CHILD)) as made:
        made.start()
        yield made


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.reason}-{case.make.__name__.strip('_<>')}")
def test_each_is_refused_with_its_reason(case: Case, server: ForkServer | None) -> None:
    """Whatever the bytes do, admission ends, says why, and leaves no file open and no child behind in the parent."""
    made = case.make()
    data = made if isinstance(made, bytes) else made.SerializeToString()
    files, children = _open_files(), _children()
    report = admit(data, manifest_of(data, case.scores), Contract(FEATURES, CLASSES, case.limits), server=server)
    assert (report.admitted, report.reason) == (False, case.reason), report.detail
    assert report.detail
    assert _open_files() <= files
    assert _children() <= children


def test_a_good_model_is_admitted(server: ForkServer | None) -> None:
    """The table above would be worth nothing if nothing passed; a good model's cost is measured."""
    report = admit(linear(), manifest_of(linear()), CONTRACT, server=server)
    assert report.admitted, report
    assert (report.reason, report.detail) == ("", "")
    assert report.p99_us > 0
    assert 0 < report.memory_bytes < 50_000_000


@pytest.mark.parametrize(
    "damage", [lambda d: b"", lambda d: d[:-1], lambda d: d + b"\0"], ids=["empty", "short", "long"]
)
def test_a_size_that_lies_is_refused(damage: Callable[[bytes], bytes]) -> None:
    """Other bytes than the manifest's never reach the sandbox."""
    assert admit(damage(linear()), manifest_of(linear()), CONTRACT).reason == "artifact_size"


def test_every_flipped_bit_is_refused() -> None:
    """No single flipped bit gets past the digest."""
    data = bytearray(linear())
    for bit in range(8 * len(data)):
        data[bit // 8] ^= 1 << bit % 8
        assert admit(bytes(data), manifest_of(linear()), CONTRACT).reason == "artifact_digest"
        data[bit // 8] ^= 1 << bit % 8


def test_a_manifest_that_breaks_the_contract_is_refused() -> None:
    """Another pipeline's model is refused by its manifest alone."""
    report = admit(linear(), manifest_of(linear()), replace(CONTRACT, classes=("cat", "dog")))
    assert report.reason == "manifest_invalid"
    assert "in this order" in report.detail


@pytest.mark.parametrize(
    ("ending", "reason", "about"),
    [
        (
            Ending(({"step": "the start"}, {"step": "loading"}), -11),
            "model_crashed",
            "loading ended the sandbox with SIGSEGV",
        ),
        (Ending(({"step": "the start"}, {"step": "scoring"}), -9), "model_crashed", "SIGKILL"),
        (Ending(({"step": "the start"},), 3), "model_crashed", "exit code 3"),
        (Ending(({"step": "the start"}, {"verdict": {"admitted": "yes?"}}), 0), "model_crashed", "nonsense"),
        (Ending(({"step": "the start"}, {"nothing": 1}), 0), "model_crashed", "nonsense"),
        (Ending(({"step": "scoring"},), None), "model_timeout", "longer than"),
    ],
)
def test_a_child_that_dies_is_a_verdict(
    ending: Ending, reason: str, about: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash, a kill, a timeout or nonsense in the child refuses the model, and says at which step."""
    monkeypatch.setattr(admission, "run_child", lambda *_: ending)
    report = admit(linear(), manifest_of(linear()), CONTRACT)
    assert (report.admitted, report.reason) == (False, reason)
    assert about in report.detail


def test_a_sandbox_that_does_not_start_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """If nobody could judge a model, that is an error to be tried again, and not the model's fault."""
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(SandboxError, match="did not start"):
        admit(linear(), manifest_of(linear()), CONTRACT)
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with pytest.raises(SandboxError, match="cannot be started"):
        admit(linear(), manifest_of(linear()), CONTRACT)
