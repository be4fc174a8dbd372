"""A suspicion becomes an alarm, or is dropped: 2 of the 3 blocks of rows behind it must bear it out."""

from dataclasses import asdict, dataclass
from typing import Any, Self

from freshet.detectors.detector import Finding

_BLOCKS = 2
_PART = 0.2


@dataclass(slots=True)
class Doubt:
    """The error rose from one level towards another, perhaps. Rows that follow settle it.

    A block of rows bears it out if its mean error has gone a fifth of the way. One run of errors can raise a suspicion,
    as correlated errors do all the time; it seldom fills two blocks behind it.
    """

    before: float
    after: float
    reference_from: int
    """Where the state of the detector that doubts began."""
    test_from: int
    block: int
    """Rows in a block."""
    count: int = 0
    total: float = 0.0
    """Of the block that is open."""
    borne_out: int = 0
    not_borne_out: int = 0
    seen: int = 0
    seen_total: float = 0.0

    @property
    def limit(self) -> float:
        """What a block's mean must exceed. Nearer to the level before: the other one was picked for being high."""
        return self.before + (self.after - self.before) * _PART

    def settled_by(self, error: float) -> bool | None:
        """Take in one more row. True: it is so. False: it was nothing. None: not yet known."""
        self.count += 1
        self.total += error
        if self.count < self.block:
            return None
        if self.total > self.limit * self.block:
            self.borne_out += 1
        else:
            self.not_borne_out += 1
        self.seen += self.count
        self.seen_total += self.total
        self.count, self.total = 0, 0.0
        return True if self.borne_out == _BLOCKS else False if self.not_borne_out == _BLOCKS else None

    def finding(self, subject: str, row: int, offset: int) -> Finding:
        """What was detected with this row."""
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
        """What gave these values."""
        return cls(**values) if values else None
