"""What answers of some confidence are worth, by how often such answers were right where labels came.

Counts of a version's evaluations in, a curve out: no label beyond them, no clock, no topic.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from freshet.contracts.arrays import Floats, Ints
from freshet.quality.counts import SCORE_BINS, Counts

_HALF: Final = SCORE_BINS // 2


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """The share of right answers by confidence, which never falls where the confidence rises."""

    confidence: Floats
    """(m,): middles of those of 64 bins from 0 to 1 in which labelled answers were, ascending."""
    right: Floats
    """(m,)."""
    labels: int
    """From so many labelled answers."""

    @classmethod
    def of(cls, counts: Counts) -> Self:
        """The curve of a classification's answers; isotonic regression over the bins of their scores."""
        right, rows = _by_confidence(counts)
        there = np.flatnonzero(rows > 0)
        shares = np.clip(right[there] / rows[there], 0.0, 1.0)
        return cls((there + 0.5) / SCORE_BINS, _rising(shares, rows[there]), int(rows[there].sum()))

    def accuracy(self, answers: Ints) -> float:
        """What answers are worth that are counted in bins of equal width over their confidence; NaN for none.

        Without any label it is the mean confidence.
        """
        middles = (np.arange(len(answers)) + 0.5) / len(answers)
        worth = np.interp(middles, self.confidence, self.right) if self.labels else middles
        return float(answers @ worth / answers.sum()) if answers.sum() else float("nan")


def _by_confidence(counts: Counts) -> tuple[Ints, Ints]:
    """Right answers and all of them, by confidence. Of two classes the second one's score is counted, by truth."""
    second, bins = len(counts.confusion) == 2, counts.score_bins
    if not second:
        return bins[1], bins.sum(axis=0)
    right, rows = np.zeros(SCORE_BINS, np.int64), np.zeros(SCORE_BINS, np.int64)
    right[_HALF:] = bins[1, _HALF:] + bins[0, :_HALF][::-1]
    rows[_HALF:] = bins.sum(axis=0)[_HALF:] + bins.sum(axis=0)[:_HALF][::-1]
    return right, rows


def _rising(values: Floats, weights: Ints) -> Floats:
    """The nearest values that never fall: neighbours that do are put together, until none is left."""
    blocks: list[tuple[float, int, int]] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        block = (value, weight, 1)
        while blocks and blocks[-1][0] > block[0]:
            before = blocks.pop()
            both = before[1] + block[1]
            block = ((before[0] * before[1] + block[0] * block[1]) / both, both, before[2] + block[2])
        blocks.append(block)
    return np.repeat([value for value, _, _ in blocks], [count for _, _, count in blocks])
