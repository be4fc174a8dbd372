"""`wasserstein`: a feature has moved: by how much its values would have to be shifted, in standard deviations."""

from typing import ClassVar

import numpy as np
from pydantic import Field

from freshet.contracts.arrays import Floats
from freshet.detectors.window_detector import WindowDetector
from freshet.profiles.bin_edges import BinEdges
from freshet.profiles.frame_content import FrameContent


class WassersteinDetector(WindowDetector):
    """The area between the two cumulative distributions, from the lowest edge to the highest one.

    It notices small shifts of a whole distribution earlier than `psi`, and changes of its form later.
    """

    kind: ClassVar[str] = "wasserstein"

    effect: float = Field(default=0.15, gt=0)
    """The least distance that matters, in standard deviations of the reference."""

    def statistic(self, window: FrameContent, reference: FrameContent, edges: BinEdges) -> Floats:
        """See `WindowDetector`."""
        apart = np.abs(_below(window) - _below(reference))[:, :-1]  # at each edge
        distance = ((apart[:, 1:] + apart[:, :-1]) / 2 * np.diff(edges.edges, axis=1)).sum(axis=1)
        deviation = reference.deviation
        found: Floats = np.where(deviation > 0, distance / np.where(deviation > 0, deviation, 1.0), 0.0)
        return found

    def sentence(self, column: str, value: float, window: FrameContent, reference: FrameContent) -> str:
        """See `WindowDetector`."""
        at = window.names.index(column)
        moved = f"its mean went from {reference.mean[at]:.4g} to {window.mean[at]:.4g}"
        return f"{column} has moved by {value:.2f} standard deviations: {moved}."


def _below(content: FrameContent) -> Floats:
    """Which share of the values lies below the end of each bin."""
    counts = content.histogram
    found: Floats = np.cumsum(counts, axis=1) / np.maximum(1, counts.sum(axis=1))[:, None]
    return found
