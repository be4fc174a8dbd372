"""`adwin`: the error of what is served has risen, whatever it was before."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log, sqrt
from typing import Any, ClassVar, Final, Self

import numpy as np
from pydantic import Field

from freshet.contracts.arrays import Floats, Ints
from freshet.detectors.detector import Detector, Finding, Observed
from freshet.detectors.doubt import Doubt

SUBJECT: Final = "error of what is served"
_KEPT: Final = 2048
"""How many of the newest rows are kept. A change further back is reported at the oldest of them."""


@dataclass(frozen=True, slots=True, eq=False)
class AdwinState:
    """The state after the rows since `start`."""

    start: int
    window: bytes
    """River's own state."""
    rows: Ints
    errors: Floats
    """The newest rows since `start`."""
    count: int = 0
    total: float = 0.0
    """The sum of the errors of all rows since `start`; `count` is their number."""
    doubt: Doubt | None = None


class AdwinDetector(Detector):
    """River's ADWIN over the errors in the order in which labels came: it says when the means of an older and a newer
    part of its window differ by more than chance explains.

    River drops as few of the oldest rows as it can, so the change itself lies later. It is reported where the two parts
    differ most clearly. ADWIN then begins again at that row, so its state depends on the rows from there on alone.
    """

    kind: ClassVar[str] = "adwin"
    threshold_field: ClassVar[str] = "delta"

    delta: float = Field(default=0.002, gt=0, lt=1)
    """ADWIN's confidence: smaller means fewer false alarms and later ones."""
    block: int = Field(default=64, ge=8, le=10_000)
    """Rows in a block. A rise is detected if two of the three blocks after it have the higher mean."""

    def begin(self, row: int) -> AdwinState:
        """See `Detector`."""
        return AdwinState(row, _window_bytes(self._adwin()), np.zeros(0, np.int64), np.zeros(0))

    def rows(self, state: AdwinState, observed: Observed) -> tuple[AdwinState, Sequence[Finding]]:
        """See `Detector`."""
        found: list[Finding] = []
        adwin = self._adwin(state.window)
        rows = np.concatenate([state.rows, observed.row])
        errors = np.concatenate([state.errors, observed.error])
        start, count, total, first = state.start, state.count, state.total, 0
        doubt = replace(state.doubt) if state.doubt else None
        kept = len(state.rows)
        for at, error in enumerate(observed.error.tolist(), kept):
            adwin.update(error)
            count += 1
            total += error
            if doubt is not None and (settled := doubt.settled_by(error)) is not None:
                if settled:
                    found.append(doubt.finding(SUBJECT, int(rows[at]), int(observed.offset[at - kept])))
                doubt = None
            if adwin.drift_detected:
                first = max(first, at + 1 - _KEPT)
                first += _change(errors[first : at + 1])
                adwin, width = self._again(errors[first : at + 1])
                first = at + 1 - width
                if doubt is None and (rise := _Rise.at(adwin, count, total)):
                    test = int(rows[first]), int(rows[at]) + 1
                    found.append(self._suspected(rise, start, test, int(observed.offset[at - kept])))
                    doubt = Doubt(rise.before, rise.behind, start, test[0], self.block)
                start, count, total = int(rows[first]), width, float(adwin.total)
        first = max(first, len(rows) - _KEPT)
        return AdwinState(start, _window_bytes(adwin), rows[first:], errors[first:], count, total, doubt), found

    def dump(self, state: AdwinState) -> bytes:
        """See `Detector`."""
        parts = {
            "start": state.start,
            "window": base64.b64encode(state.window).decode(),
            "rows": state.rows.tolist(),
            "errors": state.errors.tolist(),
            "count": state.count,
            "total": state.total,
            "doubt": state.doubt.values() if state.doubt else None,
        }
        return json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()

    def load(self, data: bytes) -> AdwinState:
        """See `Detector`."""
        parts = json.loads(data)
        return AdwinState(
            parts["start"],
            base64.b64decode(parts["window"]),
            np.array(parts["rows"], np.int64),
            np.array(parts["errors"], np.float64),
            parts["count"],
            parts["total"],
            Doubt.of(parts["doubt"]),
        )

    def _suspected(self, rise: "_Rise", start: int, test: tuple[int, int], offset: int) -> Finding:
        return Finding(
            "suspected",
            SUBJECT,
            statistic=rise.behind - rise.before,
            threshold=rise.bound(self.delta),
            effect=rise.behind - rise.before,
            reference=(start, test[0]),
            test=test,
            offset=offset,
            state_from=start,
            text=f"The {SUBJECT} may have risen from {rise.before:.3f} to {rise.behind:.3f} since row {test[0]}.",
        )

    def _again(self, errors: Floats) -> tuple[Any, int]:
        """A new window with as many of the newest errors as give no further cut, and their number."""
        while True:
            adwin = self._adwin()
            for at, error in enumerate(errors.tolist(), 1):
                adwin.update(error)
                if adwin.drift_detected:
                    errors = errors[at - int(adwin.width) :]
                    break
            else:
                return adwin, len(errors)

    def _adwin(self, window: bytes = b"") -> Any:
        from river.drift import ADWIN  # noqa: PLC0415 (only whoever detects needs river, and all read pipeline.yaml)

        adwin: Any = ADWIN(delta=self.delta)  # type: ignore[no-untyped-call]
        if window:
            adwin._helper.__setstate__(window)
        return adwin


def _change(errors: Floats) -> int:
    """The likeliest place of a single change of the mean, as the number of rows before it, at least 1."""
    before = np.arange(1, len(errors))
    sums = np.cumsum(errors)
    behind = len(errors) - before
    difference = sums[:-1] / before - (sums[-1] - sums[:-1]) / behind
    return int(np.argmax(difference**2 * before * behind)) + 1


@dataclass(frozen=True, slots=True)
class _Rise:
    """The mean errors before and after a cut, and how many rows each is of."""

    before: float
    behind: float
    count: int
    width: int

    @classmethod
    def at(cls, adwin: Any, count: int, total: float) -> Self | None:
        """The rise at a cut in a window with this many rows and this sum; None where the error did not rise."""
        width = int(adwin.width)
        behind, before = adwin.total / width, (total - adwin.total) / max(1, count - width)
        return cls(before, behind, count, width) if count > width and behind > before else None

    def bound(self, delta: float) -> float:
        """By how much the two means may differ by chance, as ADWIN has it for errors of 0 or 1."""
        mean = (self.before * (self.count - self.width) + self.behind * self.width) / self.count
        spread = log(2 * log(self.count) / delta)
        share = 1 / (self.count - self.width) + 1 / self.width
        return sqrt(2 * share * max(0.0, mean * (1 - mean)) * spread) + 2 / 3 * share * spread


def _window_bytes(adwin: Any) -> bytes:
    """River's state as bytes, without pickle: loading a pickle would run whatever is written to the state topic."""
    return bytes(adwin._helper.__getstate__())
