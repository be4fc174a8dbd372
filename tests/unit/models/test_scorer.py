"""A loaded model answers rows, and nothing else gets through."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from freshet.models.model_error import ModelError
from freshet.models.scorer import Scorer
from support.models import ROWS, WEIGHTS, graph, linear, linear_scores, manifest_of


def test_scores_are_the_models() -> None:
    """Scores are float32, one row for each row, in order, for any number of rows, none included."""
    scorer = Scorer.load(linear(), manifest_of(linear()))
    for count in (0, 1, 7, 8, 16):
        scores = scorer.score(ROWS[:count])
        assert scores.dtype == np.float32
        assert scores.shape == (count, 2)
        np.testing.assert_allclose(scores, linear_scores(ROWS[:count]), atol=1e-6)


def test_rows_have_the_same_bits_in_every_batch() -> None:
    """A row's scores do not depend on how many other rows are scored with it, or where it stands: P5 rests on this."""
    rows = np.random.default_rng(1).normal(size=(300, 4)).astype(np.float32)
    scorer = Scorer.load(linear(), manifest_of(linear()))
    whole = scorer.score(rows)
    for count in (1, 2, 7, 8, 9, 64, 299):
        assert scorer.score(rows[:count]).tobytes() == whole[:count].tobytes()
    assert scorer.score(rows[::-1])[::-1].tobytes() == whole.tobytes()


def test_scores_that_are_not_finite_are_handed_over() -> None:
    """NaN and infinity are the caller's to judge, and float64 is cast."""
    double = [helper.make_tensor_value_info("scores", TensorProto.DOUBLE, [None, 2])]
    nodes = [
        helper.make_node("MatMul", ["rows", "weights"], ["linear"]),
        helper.make_node("Cast", ["linear"], ["wide"], to=TensorProto.DOUBLE),
        helper.make_node("Mul", ["wide", "huge"], ["scores"]),
    ]
    data = graph(nodes, {"weights": WEIGHTS, "huge": np.float64(1e300)}, answers=double).SerializeToString()
    scores = Scorer.load(data, manifest_of(data)).score(ROWS)
    assert scores.dtype == np.float32
    assert np.isinf(scores).all()


def test_only_the_named_bytes_are_loaded() -> None:
    """A single flipped bit is refused before the runtime sees it: half of such files would load and run."""
    data = linear()
    for at in range(len(data)):
        damaged = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(ModelError, match="artifact_digest"):
            Scorer.load(damaged, manifest_of(data))
    with pytest.raises(ModelError, match="artifact_size"):
        Scorer.load(data + b"\0", manifest_of(data))


def test_a_model_that_answers_something_else_is_an_error() -> None:
    """Wrong shapes and exceptions of the runtime come as ModelError with a reason, not as the runtime's own."""
    three = graph([helper.make_node("MatMul", ["rows", "w"], ["scores"])], {"w": np.ones((4, 3), np.float32)})
    scorer = Scorer.load(three.SerializeToString(), manifest_of(three.SerializeToString()))
    with pytest.raises(ModelError, match=r"model_shape: .*\(16, 3\)"):
        scorer.score(ROWS)
    strange = graph([helper.make_node("Gather", ["rows", "far"], ["scores"], axis=1)], {"far": np.array([9, 9])})
    scorer = Scorer.load(strange.SerializeToString(), manifest_of(strange.SerializeToString()))
    with pytest.raises(ModelError, match="model_exception"):
        scorer.score(ROWS)


def test_golden_rows_must_agree() -> None:
    """A model that answers golden rows otherwise than its trainer saw is refused, however well it loads."""
    Scorer.load(linear(), manifest_of(linear())).check_golden()
    shifted = manifest_of(linear(), scores=linear_scores(ROWS) + np.float32(1e-3))
    with pytest.raises(ModelError, match="model_golden"):
        Scorer.load(linear(), shifted).check_golden()


def test_a_model_must_not_mix_rows() -> None:
    """A graph that normalises over the batch answers a row by its company, which no one could repeat."""
    nodes = [
        helper.make_node("MatMul", ["rows", "weights"], ["linear"]),
        helper.make_node("ReduceMean", ["linear"], ["mean"], axes=[0]),
        helper.make_node("Sub", ["linear", "mean"], ["scores"]),
    ]
    data = graph(nodes, {"weights": WEIGHTS}).SerializeToString()
    linear_part = linear_scores(ROWS)
    manifest = manifest_of(data, scores=linear_part - linear_part.mean(axis=0))
    with pytest.raises(ModelError, match="model_mixes_rows"):
        Scorer.load(data, manifest).check_golden()


def test_a_run_can_be_interrupted_from_another_thread() -> None:
    """`interrupt` ends the run under way, and only that one: the next batch is answered."""
    nodes = [helper.make_node("MatMul", ["rows", "square"], ["x0"])]
    nodes += [helper.make_node("MatMul", [f"x{i}", "square"], [f"x{i + 1}"]) for i in range(2000)]
    nodes += [helper.make_node("Slice", ["x2000", "from", "to", "axis"], ["scores"])]
    constants = {
        "square": np.eye(4, dtype=np.float32),
        "from": np.array([0]),
        "to": np.array([2]),
        "axis": np.array([1]),
    }
    data = graph(nodes, constants).SerializeToString()
    scorer = Scorer.load(data, manifest_of(data))
    many = np.zeros((20_000, 4), np.float32)
    stop = threading.Event()

    def keep_interrupting() -> None:
        while not stop.wait(0.001):
            scorer.interrupt()

    interrupter = threading.Thread(target=keep_interrupting)
    interrupter.start()
    try:
        with pytest.raises(ModelError, match="model_interrupted"):
            scorer.score(many)
    finally:
        stop.set()
        interrupter.join()
    np.testing.assert_array_equal(scorer.score(ROWS), ROWS[:, :2])


def test_a_model_is_as_slow_as_its_cpu_time_on_a_busy_machine_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it waits for the processor is not counted; the first batch warms up, and is not counted either."""
    data = linear()
    scorer, sizes = Scorer.load(data, manifest_of(data)), []
    now_ns = iter(range(0, 10**12, 3_000_000))
    monkeypatch.setattr(time, "thread_time_ns", lambda: next(now_ns))
    monkeypatch.setattr(time, "perf_counter", lambda: pytest.fail("the clock on the wall"))
    monkeypatch.setattr(Scorer, "score", lambda _, rows: sizes.append(len(rows)))
    assert scorer.warm_up(5000, runs=3) == 3_000
    assert sizes == [5000] * 4


def test_the_runtime_sends_nothing_home(tmp_path: Path) -> None:
    """Loading the runtime leaves no file in the home and starts no thread: its usage reports are switched off."""
    script = "import freshet.models.session, os; print(len(os.listdir('/proc/self/task')))"
    environment = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "OPENBLAS_NUM_THREADS": "1"}
    told = subprocess.run([sys.executable, "-I", "-c", script], env=environment, capture_output=True, check=True)
    assert list(tmp_path.iterdir()) == []
    assert told.stdout.strip() == b"1"
