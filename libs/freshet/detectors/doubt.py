"""A suspicion becomes an alarm if 2 of the 3 blocks of rows after it confirm it; else it is dropped."""

from dataclasses import asdict, dataclass
from typing import Any, Self

from freshet.detectors.detector import Finding

_BLOCKS = 2
_PART = 0.2


@dataclass(slots=True)
class Doubt:
    """A suspicion that the error rose from one level towards another. The rows that follow decide.

    A block of rows confirms it if its mean error has gone a fifth of the way to the other level. A single run of errors
    often raises a suspicion, as errors are correlated, but it seldom fills two of the blocks after it.
    """

    before: float
    after: float
    reference_from: int
    """The row at which the detector's state began."""
    test_from: int
    block: int
    """Rows in a block."""
    count: int = 0
    total: float = 0.0
    """Errors of the block that is not full yet."""
    borne_out: int = 0
    not_borne_out: int = 0
    seen: int = 0
    seen_total: float = 0.0
    """Rows of the blocks that bear it out, and their errors: their mean is above the limit."""

    @property
    def limit(self) -> float:
        """What a block's mean must exceed. It is near the old level, as the new one was picked because it was high."""
        return self.before + (self.after - self.before) * _PART

    def settled_by(self, error: float) -> bool | None:
        """Take in one more row. True: confirmed. False: dropped. None: not decided yet."""
        self.count += 1
        self.total += error
        if self.count < self.block:
            return None
        if self.total > self.limit * self.block:
            self.borne_out += 1
            self.seen += self.count
            self.seen_total += self.total
        else:
            self.not_borne_out += 1
        self.count, self.total = 0, 0.0
        return True if self.borne_out == _BLOCKS else False if self.not_borne_out == _BLOCKS else None

    def finding(self, subject: str, row: int, offset: int) -> Finding:
        """The finding, if this row confirmed the suspicion."""
        mean = self.seen_total / self.seen
        return Finding(
            "detected",
            subject,
            statistic=mean,
            threshold=self.limit,
            effect=mean - self.before,
            reference=(self.reference_from, self.test_from),
            test=(self.test_from, row + 1),
            offset=offset,
            state_from=self.reference_from,
            text=f"The {subject} rose from {self.before:.3f} to {mean:.3f} since row {self.test_from}.",
        )

    def values(self) -> dict[str, Any]:
        """For a checkpoint."""
        return asdict(self)

    @classmethod
    def of(cls, values: dict[str, Any] | None) -> Self | None:
        """The object that gave these values."""
        return cls(**values) if values else None
