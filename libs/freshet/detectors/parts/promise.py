"""`promise`: the error of what is served is higher than the error that its models were published with."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import isnan, log, sqrt
from typing import Any, ClassVar, Final

from pydantic import Field

from freshet.detectors.detector import Detector, Finding, Observed
from freshet.detectors.doubt import Doubt

SUBJECT: Final = "error against what was promised"
_LEAST: Final = 0.005
_MOST: Final = 0.9
"""A promised error is clipped to this range: were it 0, a single error would prove anything."""


@dataclass(slots=True)
class PromiseState:
    """The sum since it was last 0, and the error that was learned where models promised none."""

    start: int
    """Where the state began."""
    since: int
    """The row at which the sum was last 0."""
    sum: float = 0.0
    told: bool = False
    """Whether this rise has been reported; nothing more is reported until the sum is back at 0."""
    learned: int = 0
    learned_total: float = 0.0
    """The rows that the error is learned from, and the sum of their errors."""
    doubt: Doubt | None = None


class PromiseDetector(Detector):
    """Sums the evidence (CUSUM) that the error is `rise` above the promised one, rather than as promised.

    Each row is compared with the promise of the version that answered it: its metric `error`, or 1 - `accuracy`, or
    `mae` for a regression. Where there is none, the mean error of the first `learn` rows takes its place. A new version
    does not reset the sum, so models that get worse step by step are found, too.
    """

    kind: ClassVar[str] = "promise"
    threshold_field: ClassVar[str] = "every"

    rise: float = Field(default=0.1, gt=0, lt=1)
    """By how much the error must rise above the promise to matter."""
    every: float = Field(default=1e6, gt=1)
    """About how many rows pass between two false alarms while the promise is kept."""
    learn: int = Field(default=500, ge=50)
    """How many rows the error is learned from where no version promised one."""
    block: int = Field(default=64, ge=8, le=10_000)
    """Rows in a block. A rise is detected if two of the three blocks after a suspicion are as bad."""

    def begin(self, row: int) -> PromiseState:
        """See `Detector`."""
        return PromiseState(row, row)

    def rows(self, state: PromiseState, observed: Observed) -> tuple[PromiseState, Sequence[Finding]]:
        """See `Detector`."""
        found: list[Finding] = []
        now = replace(state, doubt=replace(state.doubt) if state.doubt else None)
        bound, odds = log(self.every), _Odds(self.rise)
        columns = (observed.row, observed.offset, observed.error, observed.promised, observed.newcomer)
        for row, offset, error, told, newcomer in zip(*(column.tolist() for column in columns), strict=True):
            promised = told
            if isnan(told):
                if newcomer and now.told:
                    now.learned, now.learned_total = 0, 0.0  # the world has changed, and this one is made for it
                if now.learned < self.learn:
                    now.learned += 1
                    now.learned_total += error
                    continue
                promised = _upper(now.learned_total / now.learned, now.learned)
            if now.doubt is not None:
                settled = now.doubt.settled_by(error)
                if settled:
                    found.append(now.doubt.finding(SUBJECT, row, offset))
                    now.told = True
                if settled is not None:
                    now.doubt = None
                    now.sum = bound if settled else 0.0
            if now.sum == 0.0:
                now.since, now.told = row, False
            now.sum = min(bound, max(0.0, now.sum + odds.of(promised, error)))
            if now.sum == bound and not now.told and now.doubt is None:
                now.doubt = Doubt(promised, promised + self.rise, now.start, now.since, self.block)
                found.append(self._suspected(now, row, offset, promised))
        return now, found

    def dump(self, state: PromiseState) -> bytes:
        """See `Detector`."""
        return json.dumps(asdict(state), sort_keys=True, separators=(",", ":")).encode()

    def load(self, data: bytes) -> PromiseState:
        """See `Detector`."""
        parts: dict[str, Any] = json.loads(data)
        return PromiseState(**{**parts, "doubt": Doubt.of(parts["doubt"])})

    def _suspected(self, state: PromiseState, row: int, offset: int, promised: float) -> Finding:
        return Finding(
            "suspected",
            SUBJECT,
            statistic=state.sum,
            threshold=log(self.every),
            effect=self.rise,
            reference=(state.start, state.since),
            test=(state.since, row + 1),
            offset=offset,
            state_from=state.start,
            text=f"Since row {state.since} errors are more than the {promised:.3f} that was promised, it seems.",
        )


class _Odds:
    """How strongly an error speaks for the risen level, by promise; kept, as there are few different promises."""

    def __init__(self, rise: float) -> None:
        self._rise = rise
        self._known: dict[float, tuple[float, float]] = {}

    def of(self, promised: float, error: float) -> float:
        """The log-likelihood ratio of this error: the risen level against the promised one."""
        pair = self._known.get(promised)
        if pair is None:
            low = min(max(promised, _LEAST), _MOST)
            high = min(low + self._rise, 0.99)
            pair = self._known[promised] = (log(high / low), log((1 - high) / (1 - low)))
        return error * pair[0] + (1 - error) * pair[1]


def _upper(mean: float, rows: int) -> float:
    """The upper bound of the error that these rows allow: the mean of few rows may be too good by chance."""
    return mean + 2 * sqrt(max(mean * (1 - mean), _LEAST) / rows)
