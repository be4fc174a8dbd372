"""Profiles on a real Kafka, written by transactions of which some are aborted, and workers of both engines."""

from pathlib import Path
from typing import ClassVar, Final

import numpy as np

from freshet.avro.control import encode
from freshet.drift.service import COMPARE
from freshet.profiles.bin_edges import answer_names, fixed
from freshet.runtime.service import DataService
from support.detect_engines import WatchedLog
from support.frames import ROWS, ProfileLog
from support.inference import CLASSES, PIPELINE

_NAMES: Final = answer_names(CLASSES)
_OURS: Final = {"pipeline": PIPELINE, "names": _NAMES, "edges": fixed(_NAMES, len(CLASSES)).id}


class WatchedProfiles(WatchedLog):
    """The same with frames of answers."""

    service: ClassVar[DataService] = COMPARE
    role: ClassVar[str] = "profiles"

    def __init__(self, kafka: str, namespace: str, folder: Path) -> None:
        super().__init__(kafka, namespace, folder)
        self._frames, self._scores = ProfileLog(), np.random.default_rng(3)

    def grow_frames(self, count: int, scale: float) -> None:
        """So many frames whose scores are this part of what they were, in transactions; some are first aborted."""
        before = len(self._frames.frames)
        self._frames.answers(self._scores.beta(2, 2, count * ROWS) * scale, version="v1")
        values = [encode(one.frame.model_copy(update=_OURS)) for one in self._frames.frames[before:]]
        for at in range(0, len(values), 3):
            if at % 2:
                self._append(values[at : at + 3][::-1], aborted=True)
            self._append(values[at : at + 3])
