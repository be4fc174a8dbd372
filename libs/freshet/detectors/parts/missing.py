"""`missing`: a feature is missing more often than before, or less often: NaN or infinite."""

from typing import ClassVar

import numpy as np
from pydantic import Field

from freshet.contracts.arrays import Floats
from freshet.detectors.input_detector import Cause
from freshet.detectors.window_detector import WindowDetector
from freshet.profiles.bin_edges import BinEdges
from freshet.profiles.frame_content import FrameContent


class MissingDetector(WindowDetector):
    """Compares the share of the rows in which a feature is no finite number."""

    kind: ClassVar[str] = "missing"
    finds: ClassVar[Cause] = "data_quality"

    effect: float = Field(default=0.02, gt=0, lt=1)
    """The least change of the share that matters."""

    def statistic(self, window: FrameContent, reference: FrameContent, edges: BinEdges) -> Floats:  # noqa: ARG002
        """See `WindowDetector`."""
        found: Floats = np.abs(_missing(window) - _missing(reference))
        return found

    def sentence(self, column: str, value: float, window: FrameContent, reference: FrameContent) -> str:  # noqa: ARG002
        """See `WindowDetector`."""
        at = window.names.index(column)
        return f"{column} is missing in {_missing(window)[at]:.1%} of the rows, after {_missing(reference)[at]:.1%}."


def _missing(content: FrameContent) -> Floats:
    found: Floats = (content.nulls + content.infinite) / content.rows
    return found
