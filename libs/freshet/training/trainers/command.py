"""A program of your own: it reads the rows from a file and writes an ONNX file."""

import ctypes
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar, Final, Literal

import numpy as np
from pydantic import Field

from freshet.training.data import TrainingData
from freshet.training.trainer import Target, Trainer, TrainingError

PROGRAMS: Final = "FRESHET_TRAINER_PROGRAMS"
"""Names the folder whose programs may be run. Whoever runs retraining sets it, not whoever writes a pipeline.yaml."""

_ERROR_CHARS: Final = 300
_PR_SET_PDEATHSIG: Final = 1


class Command(Trainer):
    """Runs `PROGRAM ARGUMENTS` in an empty folder, in which it finds `rows.csv` or `rows.npz`, and `about.json`.

    The CSV has a column of each feature, empty where it has no value, and the column `truth`, the name of the class or
    the value. The NPZ has `values` (rows, features), float32, and `truth`. `about.json` says features, classes and
    seed. It must write `model.onnx`: one input, and one float output with a score for each class, in their order, or
    one value. It can reach no network; the same rows and seed have to give the same bytes.
    """

    kind: ClassVar[str] = "command"
    learns: ClassVar[frozenset[Target]] = frozenset({"classes", "value"})
    programs: ClassVar[bool] = True

    program: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Name of a file in the folder that FRESHET_TRAINER_PROGRAMS names, where retraining runs."""
    arguments: tuple[str, ...] = ()
    """What it is called with."""
    rows: Literal["csv", "npz"] = "csv"
    """In which format it gets the rows."""

    def fit(self, data: TrainingData, seed: int) -> object:
        """See `Trainer`."""
        program = _program(self.program)
        with TemporaryDirectory(prefix="freshet-training-") as folder:
            given, model = Path(folder), Path(folder, "model.onnx")
            about = {"features": data.names, "classes": data.classes, "seed": seed}
            (given / "about.json").write_text(json.dumps(about))
            if self.rows == "csv":
                _write_csv(given / "rows.csv", data)
            else:
                np.savez(given / "rows.npz", values=data.values, truth=data.targets)
            ended = subprocess.run(
                [str(program), *self.arguments],
                cwd=folder,
                env={**os.environ, "HOME": folder, "TMPDIR": folder},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                check=False,
                preexec_fn=_die_with_parent,
            )
            if ended.returncode:
                said = ended.stderr.decode(errors="replace").strip().splitlines() or ["nothing"]
                raise TrainingError(
                    f"{self.program} ended with exit code {ended.returncode}. It said: {said[-1][:_ERROR_CHARS]}"
                )
            if not model.is_file():
                raise TrainingError(f"{self.program} ended without an error, but has written no model.onnx.")
            return model.read_bytes()


def _program(name: str) -> Path:
    folder = os.environ.get(PROGRAMS, "")
    if not folder:
        raise TrainingError(
            f"the trainer {name} is a program, and here none may be run: set {PROGRAMS} of retraining to the folder of "
            "those that may."
        )
    program = Path(folder, name)
    if not os.access(program, os.X_OK):
        raise TrainingError(f"there is no program {name} in {folder} that may be run.")
    return program


def _write_csv(path: Path, data: TrainingData) -> None:
    """Numbers in the shortest form that gives the same float32 again."""
    columns = [["" if text == "nan" else text for text in column.astype(str).tolist()] for column in data.values.T]
    columns.append(data.targets.astype(str).tolist())
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join([*map(_quoted, data.names), "truth"]) + "\n")
        file.writelines(",".join([*row[:-1], _quoted(row[-1])]) + "\n" for row in zip(*columns, strict=True))


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\n\r') else text


def _die_with_parent() -> None:
    """Make the program die with its parent, so that nothing runs on once the training was ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
