"""`answers`: what is answered has changed: the classes, the scores, or the predicted values."""

from typing import ClassVar

from pydantic import Field

from freshet.contracts.arrays import Floats
from freshet.contracts.profile_messages import FrameKind
from freshet.detectors.parts.psi import stability_index
from freshet.detectors.window_detector import WindowDetector
from freshet.profiles.bin_edges import ANSWER, BinEdges
from freshet.profiles.frame_content import FrameContent


class AnswersDetector(WindowDetector):
    """Compares answered classes and scores as `psi` compares features.

    Where only answers of new epochs have changed, the cause is our own rollout.
    """

    kind: ClassVar[str] = "answers"
    reads: ClassVar[FrameKind] = "answers"
    root: ClassVar[float] = 0.5

    effect: float = Field(default=0.1, gt=0)
    """The least population stability index that matters."""

    def statistic(self, window: FrameContent, reference: FrameContent, edges: BinEdges) -> Floats:  # noqa: ARG002
        """See `WindowDetector`."""
        return stability_index(window.histogram, reference.histogram)

    def sentence(self, column: str, value: float, window: FrameContent, reference: FrameContent) -> str:
        """See `WindowDetector`."""
        at = window.names.index(column)
        if column == ANSWER:
            return f"Other classes are answered than before (index {value:.2f})."
        moved = f"its mean went from {reference.mean[at]:.4g} to {window.mean[at]:.4g}"
        return f"The {column} of answers has changed (index {value:.2f}): {moved}."
