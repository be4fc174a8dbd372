"""`psi`: the distribution of a feature has changed, told by the population stability index."""

from typing import ClassVar

import numpy as np
from pydantic import Field

from freshet.contracts.arrays import Floats, Ints
from freshet.detectors.window_detector import WindowDetector
from freshet.profiles.bin_edges import BinEdges
from freshet.profiles.frame_content import FrameContent

_SMALLEST: float = 0.5
"""An empty bin counts as half a row."""


class PsiDetector(WindowDetector):
    """Compares the shares of the bins: 0.1 is a shift of a third of the standard deviation, 0.25 one of a half."""

    kind: ClassVar[str] = "psi"
    root: ClassVar[float] = 0.5

    effect: float = Field(default=0.1, gt=0)
    """The least population stability index that matters: 0.1 is a shift of a third of the standard deviation."""

    def statistic(self, window: FrameContent, reference: FrameContent, edges: BinEdges) -> Floats:  # noqa: ARG002
        """See `WindowDetector`."""
        return stability_index(window.histogram, reference.histogram)

    def sentence(self, column: str, value: float, window: FrameContent, reference: FrameContent) -> str:
        """See `WindowDetector`."""
        at = window.names.index(column)
        moved = f"its mean went from {reference.mean[at]:.4g} to {window.mean[at]:.4g}"
        return f"The distribution of {column} has changed (index {value:.2f}): {moved}."


def stability_index(window: Ints, reference: Ints) -> Floats:
    """The population stability index of each row of two histograms (n, bins); 0 where one of them is empty."""
    used = (window + reference) > 0
    now, before = np.maximum(window, _SMALLEST), np.maximum(reference, _SMALLEST)
    counted = (window.sum(axis=1) > 0) & (reference.sum(axis=1) > 0)
    share, usual = (
        np.where(used, found / np.maximum(1, total.sum(axis=1))[:, None], 1.0)
        for found, total in ((now, window), (before, reference))
    )
    found: Floats = np.where(counted, ((share - usual) * np.log(share / usual) * used).sum(axis=1), 0.0)
    return found
