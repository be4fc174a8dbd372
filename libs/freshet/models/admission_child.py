"""What runs in the sandbox: reads a request and a model from standard input, writes lines of JSON, and ends.

`{"step": …}` says what is about to be done, so that a crash can be told from another; the last line is the verdict.
"""

import io
import json
import sys
from dataclasses import asdict
from typing import Final, TextIO

import numpy as np
from onnx import TensorProto, helper

from freshet.contracts.messages import Manifest
from freshet.models.child_output import keep_stdout, write_line
from freshet.models.confine import confine
from freshet.models.contract import MIB, Limits
from freshet.models.graph import check_graph
from freshet.models.manifest import make_manifest, manifest_from_json
from freshet.models.memory import ResidentMemory, give_back
from freshet.models.model_error import ModelError
from freshet.models.model_file import ModelFile
from freshet.models.scorer import Scorer
from freshet.models.verdict import AdmissionVerdict

_RUNS: Final = 3
"""Full batches that are timed, after one that is not: CPU time varies little."""


def main() -> None:
    """Judge the model on standard input."""
    request = json.loads(sys.stdin.buffer.readline())
    data = sys.stdin.buffer.read()
    limits = Limits(**request["limits"])
    manifest = manifest_from_json(request["manifest"])
    rehearse()
    judge = _Judge(data, manifest, limits)
    del data
    out = keep_stdout()
    space = judge.memory.address_space_bytes() + 4 * manifest.size_bytes + limits.max_memory_mb * MIB
    unguarded = confine(space, limits.cpu_s)
    write_line(out, {"step": "the start", "unguarded": unguarded})
    report = judge.report(out)
    write_line(out, {"verdict": {**asdict(report), "unguarded": unguarded}})


class _Judge:
    """The steps of an admission. The model lies in a file that was opened before files were forbidden."""

    def __init__(self, data: bytes, manifest: Manifest, limits: Limits) -> None:
        self._file, self._manifest, self._limits = ModelFile.of(data), manifest, limits
        self.memory = ResidentMemory()

    def report(self, out: TextIO) -> AdmissionVerdict:
        """The verdict; whatever is raised on the way is one."""
        try:
            return self._steps(out)
        except ModelError as error:
            return AdmissionVerdict(False, error.reason, error.detail)
        except MemoryError:
            needs = f"it needs more memory than {self._limits.max_memory_mb} MiB."
            return AdmissionVerdict(False, "model_memory", needs)
        except Exception as error:  # a hostile model may trip anything below us, and that is its verdict
            return AdmissionVerdict(False, "model_exception", f"{type(error).__name__}: {str(error)[:300]}")

    def _steps(self, out: TextIO) -> AdmissionVerdict:
        limits = self._limits
        write_line(out, {"step": "reading the graph"})
        check_graph(self._file.content(), self._manifest, limits)
        give_back()
        before = self.memory.resident_bytes()
        write_line(out, {"step": "loading"})
        scorer = Scorer.load(self._file, self._manifest)
        write_line(out, {"step": "scoring"})
        p99_us = scorer.warm_up(limits.max_batch_rows, runs=_RUNS)
        if p99_us > limits.batch_p99_ms * 1000:
            raise ModelError(
                "model_slow",
                f"a batch of {limits.max_batch_rows} rows takes {p99_us / 1000:.0f} ms of CPU, the limit is "
                f"{limits.batch_p99_ms} ms: make the model smaller, or raise limits.batch_p99_ms.",
            )
        scorer.check_golden(limits.tolerance)
        give_back()
        taken = max(0, self.memory.resident_bytes() - before)
        if taken > limits.max_memory_mb * MIB:
            raise ModelError("model_memory", f"loaded it takes {taken // MIB} MiB, more than {limits.max_memory_mb}.")
        return AdmissionVerdict(True, memory_bytes=taken, p99_us=p99_us)


def rehearse() -> None:
    """Do every step once with a model of our own: imports what is imported late, and pays the runtime's own memory."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["rows", "weights"], ["scores"])],
        "rehearsal",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor("weights", TensorProto.FLOAT, [1, 1], [1.0])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    rows = np.zeros((1, 1), np.float32)
    data = model.SerializeToString()
    manifest = make_manifest(
        data,
        pipeline="rehearsal",
        inputs=["x"],
        classes=(),
        input_name="rows",
        output_name="scores",
        opset=17,
        golden_features=rows,
        golden_scores=rows,
        trainer="",
    )
    report = _Judge(data, manifest, Limits(max_batch_rows=8, batch_p99_ms=60_000)).report(io.StringIO())
    if not report.admitted:
        raise RuntimeError(f"the sandbox cannot score even its own model: {report.detail}")


if __name__ == "__main__":
    main()
