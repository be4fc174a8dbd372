"""Runs the child in which a model is trained: what it is given, and what of its answer is believed."""

import base64
import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import structlog

from freshet.contracts.arrays import Floats32
from freshet.contracts.errors import FreshetError
from freshet.contracts.messages import Manifest
from freshet.models.artifact import digest_of
from freshet.models.contract import MIB
from freshet.models.fork_server import ForkServer
from freshet.models.manifest import manifest_from_json, manifest_to_json, outputs_of
from freshet.models.model_error import ModelError
from freshet.models.sandbox import Ending, SandboxError, run_child
from freshet.retraining.core.train_job import Train
from freshet.retraining.data_set import DataSet
from freshet.runtime.jobs import Stop
from freshet.training.trainer import TrainingError

CHILD: Final = "freshet.retraining.training_child"
"""The module that trains, in a child process."""
_CPU_S: Final = 1500
_WALL_S: Final = 1700.0
"""Below the job's limit, so that the child ends first."""
_MEMORY_BYTES: Final = 2048 * MIB
_MEMORY_OF_DATA: Final = 40
"""So many times the bytes of the rows may be taken, beside what every training may take."""
_KINDS: Final = ("<f4", "<i8", "<f8", "<f4")
"""How the columns travel: values, labels, truths, and the holdout's values."""


class TrainedModel:
    """What the child gives back, checked: it may have run anybody's trainer."""

    def __init__(self, line: Mapping[str, Any], holdout_rows: int) -> None:
        self.manifest: Manifest = manifest_from_json(line["manifest"])
        self.graph = base64.b64decode(line["graph"], validate=True)
        if digest_of(self.graph) != self.manifest.digest:
            raise ValueError("the graph is not the manifest's")
        self.scores: dict[str, Floats32] = {
            name: np.frombuffer(base64.b64decode(text, validate=True), "<f4")
            .astype(np.float32)
            .reshape(holdout_rows, outputs_of(self.manifest))
            for name, text in line["scores"].items()
        }
        self.latency_ms = {name: float(value) for name, value in line["latency_ms"].items()}
        if not all(0 <= value < math.inf for value in self.latency_ms.values()):
            raise ValueError("a latency is no number")
        self.cpu_ms = int(line["cpu_ms"])


def run_training(
    job: Train,
    data: DataSet,
    champion: bytes,
    *,
    lineage: Mapping[str, str],
    timed: bool,
    settings: Mapping[str, str],
    stop: Stop,
    server: ForkServer | None = None,
) -> TrainedModel:
    """The child's model. `server`, one of `CHILD` with the same `settings`, saves the start of a process.

    Raises TrainingError or ModelError with its own words, SandboxError if it never began, or was killed from without:
    it may come to its end another time.
    """
    learned = data.training
    columns = (learned.values, learned.label, learned.truth, data.holdout.values)
    parts = [np.ascontiguousarray(column, kind).tobytes() for column, kind in zip(columns, _KINDS, strict=True)]
    body = b"".join([*parts, champion])
    request = {
        "spec": job.spec,
        "trainer": job.trainer,
        "params": dict(job.params),
        "seed": job.seed,
        "names": learned.names,
        "classes": learned.classes,
        "rows": len(learned),
        "holdout_rows": len(data.holdout),
        "champion": manifest_to_json(job.champion.manifest) if job.champion else "",
        "lineage": dict(lineage),
        "timed": timed,
        "memory_bytes": _MEMORY_BYTES + _MEMORY_OF_DATA * len(body),
        "cpu_s": _CPU_S,
    }
    if server is not None:
        ending = server.run(request, body, _WALL_S, stop.is_set)
    else:
        ending = run_child(CHILD, request, body, _WALL_S, stop.is_set, settings=settings)
    if missing := ending.lines[0].get("unguarded"):
        # beyond what the service said as it started: a library that starts threads keeps its process out of a namespace
        structlog.get_logger("retraining").warning("sandbox_unguarded", trainer=job.trainer, missing=missing)
    line = ending.lines[-1]
    if "failed" in line:
        raise _failure(line)
    if "manifest" not in line and ending.by_signal == "SIGKILL":
        step = line.get("step", "the training")
        raise SandboxError(f"{step}: the training's child was killed (SIGKILL), by somebody or for want of memory.")
    if "manifest" not in line:
        raise TrainingError(_how_it_ended(ending))
    try:
        return TrainedModel(line, len(data.holdout))
    except (ValueError, KeyError, TypeError, AttributeError, FreshetError) as error:
        raise TrainingError(f"the training's child gave nonsense for a model: {error}") from error


def _failure(line: Mapping[str, Any]) -> FreshetError:
    detail = str(line.get("detail", ""))
    return TrainingError(detail) if line["failed"] == "training" else ModelError(str(line["failed"]), detail)


def _how_it_ended(ending: Ending) -> str:
    step = ending.lines[-1].get("step", "the training")
    if ending.code is None:
        return f"{step} took longer than {_WALL_S:.0f} s: take fewer rows or a smaller model."
    if ending.by_signal == "SIGXCPU":
        return f"{step} used more than {_CPU_S} s of CPU: take fewer rows or a smaller model."
    return f"{step} ended the training's child with {ending.by_signal or f'exit code {ending.code}'}."
