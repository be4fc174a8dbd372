"""`freshet` whose models misbehave on marked rows: start a worker with `python deadly_worker.py run inference …`.

No ONNX graph crashes or hangs everywhere alike, and those that hang are refused at admission; so the scorer is told to.
"""

import os
import signal
import threading
from typing import Final

from freshet.cli.main import main
from freshet.contracts.arrays import Floats32
from freshet.models.model_error import ModelError
from freshet.models.scorer import Scorer

KILLS: Final = 1_234_567.0
"""As first feature: the process dies while it scores this row, as if by a segmentation fault."""
HANGS: Final = 7_654_321.0
"""As first feature: the score call does not return until it is interrupted, if `hangs` says that the model does."""

_interrupted = threading.Event()
_score = Scorer.score


def hangs(trainer: str) -> bool:
    """Whether a model of this trainer hangs: trees do, linear models answer."""
    return "Boosting" in trainer


def _deadly(self: Scorer, rows: Floats32) -> Floats32:
    if (rows[:, 0] == KILLS).any():
        os.kill(os.getpid(), signal.SIGKILL)
    if hangs(self.manifest.trainer) and (rows[:, 0] == HANGS).any():
        _interrupted.wait()
        raise ModelError("model_interrupted", "the watchdog ended it.")
    return _score(self, rows)


if __name__ == "__main__":
    Scorer.score = _deadly  # type: ignore[method-assign]
    Scorer.interrupt = lambda self: _interrupted.set()  # type: ignore[method-assign]
    main()
