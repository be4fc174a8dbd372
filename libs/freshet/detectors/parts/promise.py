"""`promise`: what is served is worse than what models were published with."""

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
"""A promise outside of these is taken as that: with odds of 0 the first error would prove anything."""


@dataclass(slots=True)
class PromiseState:
    """The sum since it was last 0, and what was learned where no model promised anything."""

    start: int
    """Where the state began."""
    since: int
    """Where the sum was last 0."""
    sum: float = 0.0
    told: bool = False
    """Whether what broke the promise has been found; nothing more is said until the sum is back at 0."""
    learned: int = 0
    learned_total: float = 0.0
    """Rows and errors that stand for a promise."""
    doubt: Doubt | None = None


class PromiseDetector(Detector):
    """A sum of evidence (CUSUM) that errors are as many as promised plus `rise`, rather than as promised.

    Each row counts against the promise of the version that answered it: metric `error`, or 1 - `accuracy`, or `mae` of
    a regression. Without one, the first `learn` rows stand for it. The sum survives publishes, so a line of models that
    gets worse step by step is found, too.
    """

    kind: ClassVar[str] = "promise"
    threshold_field: ClassVar[str] = "every"

    rise: float = Field(default=0.1, gt=0, lt=1)
    """By how much the error must rise above the promise to matter."""
    every: float = Field(default=1e6, gt=1)
    """About so many rows pass between false alarms, while the promise is kept."""
    learn: int = Field(default=500, ge=50)
    """Rows that stand for a promise where there is none."""
    block: int = Field(default=64, ge=8, le=10_000)
    """Two of three blocks of so many rows behind a suspicion must be as bad, for it to be detected."""

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
    """How much an error speaks for the risen level, by promise; there are few different ones."""

    def __init__(self, rise: float) -> None:
        self._rise = rise
        self._known: dict[float, tuple[float, float]] = {}

    def of(self, promised: float, error: float) -> float:
        """The logarithm of how much likelier this error is at the risen level."""
        pair = self._known.get(promised)
        if pair is None:
            low = min(max(promised, _LEAST), _MOST)
            high = min(low + self._rise, 0.99)
            pair = self._known[promised] = (log(high / low), log((1 - high) / (1 - low)))
        return error * pair[0] + (1 - error) * pair[1]


def _upper(mean: float, rows: int) -> float:
    """The largest error that the rows speak for: a mean of few rows may be too good by chance."""
    return mean + 2 * sqrt(max(mean * (1 - mean), _LEAST) / rows)
