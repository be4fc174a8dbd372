"""What runs in the sandbox: learns from the rows on standard input, writes lines of JSON, and ends.

`{"step": …}` says what is about to be done, so that a crash can be told from another; the last line is the model, or
why there is none.
"""

import base64
import io
import json
import resource
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, TextIO

import numpy as np

from freshet.contracts.arrays import Floats32
from freshet.contracts.messages import Manifest
from freshet.models.bundle import Bundle
from freshet.models.child_output import keep_stdout, write_line
from freshet.models.confine import confine
from freshet.models.contract import BATCH_ROWS, MIB
from freshet.models.manifest import manifest_from_json, manifest_to_json
from freshet.models.memory import ResidentMemory
from freshet.models.model_error import ModelError
from freshet.models.model_file import ModelFile
from freshet.models.packing import pack
from freshet.models.scorer import Scorer
from freshet.pipeline import PipelineSpec
from freshet.pipeline.catalogue import trainers
from freshet.training.data import TrainingData
from freshet.training.trainer import Trainer, TrainingError

SAMPLE_ROWS: Final = 2_000
_REHEARSAL_ROWS: Final = 200
_REHEARSED: Final = """
pipeline: rehearsal
entity: who
event_id: which
event_time: at
features: {version: 1, columns: [{kind: field, of: one}, {kind: field, of: other}]}
target: {classes: [a, b]}
"""
_ERROR_CHARS: Final = 400
_ROUNDS: Final = 3
_MOST_ROUNDS: Final = 100_000
_TIMED_S: Final = 0.3
"""Rounds that are timed: three, and as many more as this CPU time is enough for; some clocks tick every 10 ms."""
_FILE_BYTES: Final = 4096 * MIB


def main() -> None:
    """Train on what is on standard input."""
    request = json.loads(sys.stdin.buffer.readline())
    given = _given(request, sys.stdin.buffer.read())
    trainer = trainers().find(request["trainer"]).of(request["params"])
    spec = PipelineSpec.parse(request["spec"])
    training = _Training(trainer, spec, request["seed"], request["lineage"], request["timed"])
    out = keep_stdout()
    training.rehearse()
    space = ResidentMemory().address_space_bytes() + request["memory_bytes"]
    unguarded = confine(space, request["cpu_s"], file_bytes=_FILE_BYTES, programs=trainer.programs)
    write_line(out, {"step": "the start", "unguarded": unguarded})
    write_line(out, training.attempt(out, given))


def rehearse() -> None:
    """Have our own trainers at hand: each makes a model of made-up rows. For a process that such children come from."""
    spec = PipelineSpec.parse(_REHEARSED)
    for kind in trainers().kinds():
        trainer = trainers().find(kind)
        if trainer.__module__.startswith("freshet.") and not trainer.programs and "classes" in trainer.learns:
            _Training(trainer(), spec, 0, {}, timed=False).rehearse()


class _Given(NamedTuple):
    """Rows to learn from, features of the rows to try it on, and the model to compare it with."""

    data: TrainingData
    holdout: Floats32
    champion: tuple[Manifest, ModelFile] | None = None


def _given(request: Mapping[str, Any], body: bytes) -> _Given:
    """Column behind column; then the champion's bytes, put into a file as long as there may be new files."""
    rows, tried, width = request["rows"], request["holdout_rows"], len(request["names"])
    at = 0

    def column(dtype: str, *shape: int) -> Any:
        nonlocal at
        found = np.frombuffer(body, dtype, int(np.prod(shape)), at).reshape(shape)
        at += found.nbytes
        return found.copy()

    values, label, truth = column("<f4", rows, width), column("<i8", rows), column("<f8", rows)
    holdout = column("<f4", tried, width)
    data = TrainingData(tuple(request["names"]), tuple(request["classes"]), values, label, truth)
    if not request["champion"]:
        return _Given(data, holdout)
    return _Given(data, holdout, (manifest_from_json(request["champion"]), ModelFile.of(body[at:])))


class _Tried(NamedTuple):
    """Scores of the holdout's rows, and the CPU time for a row in milliseconds, if it was measured."""

    scores: Floats32
    row_ms: float | None


@dataclass(frozen=True, slots=True)
class _Training:
    """What is done with whatever rows."""

    trainer: Trainer
    spec: PipelineSpec
    seed: int
    lineage: Mapping[str, str]
    timed: bool
    """Whether somebody asks how long a row takes."""

    def attempt(self, out: TextIO, given: _Given) -> dict[str, Any]:
        """What came of it; whatever is raised on the way is a sentence."""
        try:
            return self._train(out, given)
        except ModelError as error:
            return {"failed": error.reason, "detail": error.detail}
        except TrainingError as error:
            return {"failed": "training", "detail": str(error)}
        except MemoryError:
            return {"failed": "training", "detail": "it needs more memory than it may have: take fewer rows."}
        except Exception as error:  # a trainer may be anybody's
            text = " ".join(str(error).split())[:_ERROR_CHARS]
            return {"failed": "training", "detail": f"the trainer failed with {type(error).__name__}: {text}"}

    def rehearse(self) -> None:
        """Do every step once on made-up rows, which imports what is imported late. What fails here fails again then."""
        if self.trainer.programs:
            return  # it may open files later, too
        draw = np.random.default_rng(0)
        names, classes = self.spec.feature_names, self.spec.target.classes
        values = draw.normal(size=(_REHEARSAL_ROWS, len(names))).astype(np.float32)
        label = np.arange(_REHEARSAL_ROWS) % len(classes) if classes else np.full(_REHEARSAL_ROWS, -1)
        truth = np.full(_REHEARSAL_ROWS, np.nan) if classes else draw.normal(size=_REHEARSAL_ROWS)
        data = TrainingData(names, classes, values, label.astype(np.int64), truth)
        quick = replace(self, trainer=self.trainer.model_copy(update=dict(self.trainer.quick)))
        quick.attempt(io.StringIO(), _Given(data, values))

    def _train(self, out: TextIO, given: _Given) -> dict[str, Any]:
        data = given.data
        write_line(out, {"step": "fitting"})
        model = self.trainer.fit(data, self.seed)
        write_line(out, {"step": "packing"})
        bundle = self._packed(model, data)
        write_line(out, {"step": "scoring the holdout"})
        tried = {"candidate": self._tried(ModelFile.of(bundle.data), bundle.manifest, data.names, given.holdout)}
        if given.champion is not None:
            manifest, file = given.champion
            tried["champion"] = self._tried(file, manifest, data.names, given.holdout)
        return {
            "manifest": manifest_to_json(bundle.manifest),
            "graph": base64.b64encode(bundle.data).decode(),
            "scores": {
                who: base64.b64encode(each.scores.astype("<f4").tobytes()).decode() for who, each in tried.items()
            },
            "latency_ms": {who: each.row_ms for who, each in tried.items() if each.row_ms is not None},
            "cpu_ms": _cpu_ms(),
        }

    def _tried(self, model: ModelFile, manifest: Manifest, names: tuple[str, ...], rows: Floats32) -> _Tried:
        """Scores are NaN where the model has no answer."""
        with closing(Scorer.load(model, manifest)) as scorer:
            columns = rows[:, [names.index(name) for name in manifest.inputs]]
            found = np.concatenate([scorer.score(part) for part in _batches(columns)])
            return _Tried(found, _row_ms(scorer, columns) if self.timed and len(rows) else None)

    def _packed(self, model: object, data: TrainingData) -> Bundle:
        at = np.linspace(0, len(data) - 1, min(len(data), SAMPLE_ROWS)).astype(np.int64)
        in_order = isinstance(model, bytes) and data.classes
        return pack(
            model,
            data.values[at],
            self.spec,
            inputs=data.names,
            labels={str(place): name for place, name in enumerate(data.classes)} if in_order else None,
            truths=data.targets[at].tolist() if data.classes else None,
            trainer=self.trainer.kind,
            lineage=self.lineage,
        ).bundle


def _batches(rows: Floats32) -> list[Floats32]:
    return [rows[at : at + BATCH_ROWS] for at in range(0, max(len(rows), 1), BATCH_ROWS)]


def _row_ms(scorer: Scorer, rows: Floats32) -> float:
    """To two digits. The rows have been scored once, so that all is warm; what other processes take does not count."""
    rounds, began = 0, time.process_time()
    while rounds < _ROUNDS or (time.process_time() - began < _TIMED_S and rounds < _MOST_ROUNDS):
        for part in _batches(rows):
            scorer.score(part)
        rounds += 1
    return float(f"{1000 * (time.process_time() - began) / rounds / len(rows):.2g}")


def _cpu_ms() -> int:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return int(1000 * sum(each.ru_utime + each.ru_stime for each in used))


if __name__ == "__main__":
    main()
