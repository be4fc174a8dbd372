"""The one place that imports onnxruntime.

Since 1.29 its Linux builds send usage data (among it graph names and hashes of weights) and keep a database in the
user's home. Reading models of others is no reason to do that, so it is switched off before the import; whoever wants it
sets ORT_DISABLE_TELEMETRY=0.
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime  # after the setting: it is read when the library loads

_QUIET = 4  # fatal only: what goes wrong comes back as an exception


def open_session(source: str | bytes) -> onnxruntime.InferenceSession:
    """A session on the CPU with one thread and a bounded memory; raises what onnxruntime raises.

    Graph optimisation is off: on linear models, trees and perceptrons it gained nothing at 8, 500 and 5,000 rows, and
    it computes constants at load, which lets 140 bytes ask for a gigabyte there.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.enable_mem_pattern = False  # it remembers a plan for every batch size ever seen
    options.log_severity_level = _QUIET
    options.add_session_config_entry("session.load_model_format", "ONNX")  # never guess: ORT's own format skips checks
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def run_options() -> onnxruntime.RunOptions:
    """Options of one run; setting `terminate` on them from another thread ends it."""
    options = onnxruntime.RunOptions()
    options.log_severity_level = _QUIET
    return options
