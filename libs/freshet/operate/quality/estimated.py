"""How good answers would be if their scores were right: an estimate without any label, from the profiles of answers."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from freshet.profiles.bin_edges import CONFIDENCE
from freshet.profiles.frame_content import FrameContent
from freshet.profiles.frame_records import PlacedFrame

NOTE: Final = (
    "Estimated without labels: the mean confidence of the answers. It is right as far as scores are calibrated and the "
    "world is as the model knows it; where the concept changes it stays high. Nothing is promoted or rolled back by it."
)


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of one version's answers."""

    version: str
    answers: int
    accuracy: float
    """The mean confidence, from bins of the width .05: up to .025 off."""


def estimates(frames: Iterable[PlacedFrame], since_ms: int = 0) -> list[Estimate]:
    """Of each version, in the order in which they first answered; none of a regression."""
    bins: dict[str, np.ndarray[Any, np.dtype[np.int64]]] = {}
    for _, _, frame in frames:
        if frame.kind != "answers" or CONFIDENCE not in frame.names or frame.last_ms < since_ms or not frame.edges:
            continue
        content = FrameContent.of(frame)
        column = content.bins[:, frame.names.index(CONFIDENCE)]
        for version, counts in zip(content.versions, column, strict=True):
            bins[version] = bins.get(version, np.zeros_like(counts)) + counts
    found = []
    for version, counts in bins.items():
        middles = (np.arange(len(counts)) + 0.5) / len(counts)
        found.append(Estimate(version, int(counts.sum()), float(counts @ middles / max(1, counts.sum()))))
    return found


def estimates_document(found: Iterable[Estimate]) -> dict[str, Any]:
    """For `--json`."""
    return {"estimated": {"note": NOTE, "versions": [asdict(one) for one in found]}}
