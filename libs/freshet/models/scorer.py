"""A model in memory that answers rows."""

import time
from typing import Any, Final

import numpy as np

from freshet.contracts.arrays import Floats32
from freshet.contracts.messages import Manifest
from freshet.models.artifact import check_bytes
from freshet.models.contract import BATCH_ROWS, TOLERANCE
from freshet.models.gaps import row_gaps
from freshet.models.manifest import golden_rows, outputs_of
from freshet.models.memory import give_back
from freshet.models.model_error import ModelError
from freshet.models.model_file import ModelFile
from freshet.models.session import open_session, run_options

_PAD_ROWS: Final = 8  # a batch of one takes other kernels and differs in the last bits; from 7 rows on all agree


class Scorer:
    """One onnxruntime session on one thread, with the manifest that it was loaded from.

    The same row gives the same bits in every batch, whatever its size and order. Use it from one thread at a time; only
    `interrupt` may be called from another.
    """

    def __init__(self, session: Any, manifest: Manifest) -> None:
        self.manifest = manifest
        self._session, self._outputs = session, outputs_of(manifest)
        self._running: Any = None

    @classmethod
    def load(cls, data: bytes | ModelFile, manifest: Manifest) -> "Scorer":
        """Check the bytes against the manifest and load them; a file is closed, whatever comes of it.

        Blocks; memory is that of the session. Raises ModelError: `artifact_*` if these are other bytes, else
        `model_load` or `model_memory`. A file that loads is not thereby a good model: `check_golden` says.
        """
        with ModelFile.of(data) if isinstance(data, bytes) else data as model:
            check_bytes(model, manifest)
            try:
                session = open_session(model.source())
            except Exception as error:  # onnxruntime's exceptions have no common base but this
                raise _failure("model_load", error) from error
        return cls(session, manifest)

    def score(self, rows: Floats32) -> Floats32:
        """Scores, float32 (n, outputs), of rows, float32 (n, inputs); they may be NaN or infinite: the caller judges.

        Raises ModelError: `model_exception`, `model_memory`, `model_interrupted`, or `model_shape` if the model answers
        something else than one row of float scores for each row.
        """
        width = len(self.manifest.inputs)
        assert rows.ndim == 2, rows.shape
        assert rows.shape[1] == width, (rows.shape, width)
        count = len(rows)
        if not count:
            return np.empty((0, self._outputs), np.float32)
        if count < _PAD_ROWS:
            rows = np.concatenate([rows, np.zeros((_PAD_ROWS - count, width), np.float32)])
        return self._checked(self._run(np.ascontiguousarray(rows, np.float32)), len(rows))[:count]

    def check_golden(self, tolerance: float = TOLERANCE) -> None:
        """Raise ModelError unless the golden rows are answered as their trainer saw it, in any company.

        `tolerance` is absolute for scores up to 1 and relative above. A graph that lets rows of a batch influence each
        other is `model_mixes_rows`: its answers could never be repeated.
        """
        features, expected = golden_rows(self.manifest)
        scores = self.score(features)
        if bad := int((~np.isfinite(scores)).any(axis=1).sum()):
            raise ModelError(
                "model_not_finite",
                f"of the {len(features)} sample rows packed with it, {bad} get scores that are NaN or infinite.",
            )
        gap = float(row_gaps(expected, scores).max())
        if gap > tolerance:
            raise ModelError(
                "model_golden",
                f"its golden scores are {gap:.2g} away from what its trainer saw, more than {tolerance:g}: was it "
                "packed with other rows, or another version of onnxruntime?",
            )
        alone = self.score(features[-1:])
        crowded = self.score(np.resize(features[-1:], (_PAD_ROWS, features.shape[1])))
        if row_gaps(scores[-1:], alone).max() > tolerance or row_gaps(scores[-1:], crowded[-1:]).max() > tolerance:
            raise ModelError(
                "model_mixes_rows",
                "it answers a row differently in another batch: normalise with constants from training, not over rows.",
            )

    def warm_up(self, batch_rows: int = BATCH_ROWS, *, runs: int = 1) -> int:
        """Score a full batch of golden rows, and then as many as `runs` says; the CPU time of the slowest of these, µs.

        The time is this thread's, so that a machine that has more to do does not make a model slow. Raises what `score`
        raises.
        """
        features, _ = golden_rows(self.manifest)
        rows = np.resize(features, (batch_rows, features.shape[1]))
        self.score(rows)
        times_ns = []
        for _ in range(runs):
            before_ns = time.thread_time_ns()
            self.score(rows)
            times_ns.append(time.thread_time_ns() - before_ns)
        return max(times_ns) // 1000

    def interrupt(self) -> None:
        """End the run that is under way in another thread, if any: its `score` raises `model_interrupted` at once."""
        running = self._running
        if running is not None:
            running.terminate = True

    def close(self) -> None:
        """Drop the session and give its memory back to the system. Holds the interpreter lock for up to 30 ms."""
        self._session = None
        give_back()

    def _run(self, rows: Floats32) -> Any:
        assert self._session is not None, "the scorer is closed"
        options = self._running = run_options()
        try:
            return self._session.run([self.manifest.output_name], {self.manifest.input_name: rows}, options)[0]
        except Exception as error:  # onnxruntime's exceptions have no common base but this
            raise _failure("model_interrupted" if options.terminate else "model_exception", error) from error
        finally:
            self._running = None

    def _checked(self, scores: Any, count: int) -> Floats32:
        expected = (count, self._outputs)
        if not isinstance(scores, np.ndarray) or scores.dtype not in (np.float32, np.float64):
            kind = scores.dtype if isinstance(scores, np.ndarray) else type(scores).__name__
            raise ModelError("model_shape", f"its scores are {kind}, not float32.")
        if scores.shape != expected:
            raise ModelError(
                "model_shape", f"it answers {count} rows with scores of shape {scores.shape}, not {expected}."
            )
        with np.errstate(over="ignore"):
            return scores.astype(np.float32, copy=False)


def _failure(reason: str, error: Exception) -> ModelError:
    """The error of the runtime as ours, in at most 300 characters."""
    text = " ".join(str(error).split())
    if (
        isinstance(error, MemoryError)
        or "bad_alloc" in text
        or "bad allocation" in text
        or "Failed to allocate" in text
    ):
        reason = "model_memory"
    return ModelError(reason, f"onnxruntime says {type(error).__name__}: {text[:300]}")
