"""`range`: values of a feature lie outside the range that it had when its edges were chosen."""

from typing import ClassVar

import numpy as np
from pydantic import Field

from freshet.contracts.arrays import Floats
from freshet.detectors.input_detector import Cause
from freshet.detectors.window_detector import WindowDetector
from freshet.profiles.bin_edges import BinEdges
from freshet.profiles.frame_content import FrameContent


class RangeDetector(WindowDetector):
    """Compares the share of the values that lie below the lowest edge or above the highest one, if it has grown."""

    kind: ClassVar[str] = "range"
    finds: ClassVar[Cause] = "data_quality"

    effect: float = Field(default=0.02, gt=0, lt=1)
    """The least growth of the share that matters."""

    def statistic(self, window: FrameContent, reference: FrameContent, edges: BinEdges) -> Floats:  # noqa: ARG002
        """See `WindowDetector`."""
        found: Floats = np.maximum(0.0, _outside(window) - _outside(reference))
        return found

    def sentence(self, column: str, value: float, window: FrameContent, reference: FrameContent) -> str:  # noqa: ARG002
        """See `WindowDetector`."""
        at = window.names.index(column)
        reached = f"it goes from {window.minimum[at]:.4g} to {window.maximum[at]:.4g} now"
        before = f"and went from {reference.minimum[at]:.4g} to {reference.maximum[at]:.4g}"
        return f"{_outside(window)[at]:.1%} of the values of {column} lie outside its range: {reached}, {before}."


def _outside(content: FrameContent) -> Floats:
    counts = content.histogram
    found: Floats = (counts[:, 0] + counts[:, -1]) / np.maximum(1, counts.sum(axis=1))
    return found
