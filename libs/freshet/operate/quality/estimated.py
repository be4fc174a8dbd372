"""How good answers are by their own confidence, corrected by what labels said of such answers: an estimate, no more."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from freshet.contracts.arrays import Ints
from freshet.contracts.evaluation_message import Evaluation
from freshet.operate.quality.series_quality import VERSION
from freshet.profiles.bin_edges import CONFIDENCE
from freshet.profiles.frame_content import FrameContent
from freshet.profiles.frame_records import PlacedFrame
from freshet.quality.calibration import Calibration
from freshet.quality.counts import Counts

NOTE: Final = (
    "Estimated without labels: the confidence of the answers that profiles have counted and still hold (the last ones "
    "of a partition are counted once others follow), corrected by how often answers of that confidence were right "
    "where labels have come: all labels of the version, whatever time is shown; with 0 labels it is not corrected. "
    "Where the concept changes it stays high. Nothing is promoted or rolled back by it."
)
_BARE: Final = Calibration.of(Counts.none(2))
"""Of no labels."""
TITLES: Final = ("version", "answers", "confidence, by bins", "labels so far", "estimated accuracy")


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of one version's answers."""

    version: str
    answers: int
    confidence: float
    """The mean of what scores say, from bins: up to .025 off."""
    labels: int
    """The correction was learned from so many labelled answers of this version."""
    accuracy: float


def calibrations(evaluations: Iterable[Evaluation]) -> dict[str, Calibration]:
    """By version, from all evaluations of a pipeline; none of a regression."""
    counts: dict[str, Counts] = {}
    for one in evaluations:
        if one.view == "arrival" and one.series.startswith(VERSION) and one.classes:
            version = one.series.removeprefix(VERSION)
            counts[version] = counts.get(version, Counts.none(len(one.classes))) + Counts.of(one)
    return {version: Calibration.of(found) for version, found in counts.items()}


def estimates(
    frames: Iterable[PlacedFrame],
    known: Mapping[str, Calibration] | None = None,
    since_ms: int = 0,
    until_ms: int = 1 << 62,
) -> list[Estimate]:
    """Of each version, in the order in which they first answered in that time; none of a regression."""
    bins: dict[str, Ints] = {}
    for _, _, frame in frames:
        if frame.kind != "answers" or CONFIDENCE not in frame.names or not frame.edges:
            continue
        if not since_ms <= frame.first_ms < until_ms:
            continue
        content = FrameContent.of(frame)
        column = content.bins[:, frame.names.index(CONFIDENCE)]
        for version, counts in zip(content.versions, column, strict=True):
            bins[version] = bins.get(version, np.zeros_like(counts)) + counts
    return [_estimate(version, counts, (known or {}).get(version, _BARE)) for version, counts in bins.items()]


def estimate_rows(found: Iterable[Estimate]) -> list[list[str]]:
    """A row of text for each version."""
    return [
        [one.version, f"{one.answers:,}", f"{one.confidence:.1%}", f"{one.labels:,}", f"{one.accuracy:.1%}"]
        for one in found
    ]


def estimates_document(found: Sequence[Estimate]) -> dict[str, Any]:
    """For `--json`."""
    return {"estimated": {"note": NOTE, "versions": [asdict(one) for one in found]}}


def _estimate(version: str, counts: Ints, curve: Calibration) -> Estimate:
    return Estimate(version, int(counts.sum()), _BARE.accuracy(counts), curve.labels, curve.accuracy(counts))
