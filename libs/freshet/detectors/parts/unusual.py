"""`unusual`: more single rows than before lie far from the usual values in some feature."""

from typing import ClassVar

import numpy as np
from pydantic import Field

from freshet.contracts.arrays import Floats
from freshet.detectors.window_detector import WindowDetector
from freshet.profiles.bin_edges import BinEdges
from freshet.profiles.frame_content import FrameContent

_COLUMN = "rows far from the usual values"


class UnusualDetector(WindowDetector):
    """Compares the share of rows that lie at least 8 usual distances from the median of a feature.

    Which rows those are, each frame tells of its farthest ones: `freshet profile show` lists them.
    """

    kind: ClassVar[str] = "unusual"

    effect: float = Field(default=0.01, gt=0, lt=1)
    """The least change of the share that matters."""

    def columns(self, content: FrameContent) -> tuple[str, ...]:  # noqa: ARG002
        """See `WindowDetector`."""
        return (_COLUMN,)

    def statistic(self, window: FrameContent, reference: FrameContent, edges: BinEdges) -> Floats:  # noqa: ARG002
        """See `WindowDetector`."""
        return np.array([abs(_share(window) - _share(reference))])

    def sentence(self, column: str, value: float, window: FrameContent, reference: FrameContent) -> str:  # noqa: ARG002
        """See `WindowDetector`."""
        return f"{_share(window):.1%} of the rows lie far from the usual values, after {_share(reference):.1%}."


def _share(content: FrameContent) -> float:
    return content.unusual_rows / content.rows
