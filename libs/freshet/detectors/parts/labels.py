"""`labels`: labels have stopped, or come for a smaller share of the predictions than before."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from math import sqrt
from typing import Any, ClassVar, Final

from pydantic import Field

from freshet.contracts.duration import Duration
from freshet.detectors.detector import Detector, Finding, Level, Observed

SILENCE: Final = "labels"
SHARE: Final = "share of predictions with a label"
_MINUTE_MS: Final = 60_000
_WEEK_MS: Final = 7 * 24 * 60 * _MINUTE_MS
_SURER: Final = 1.5
"""A silence is detected once it is this many times as long as a suspicious one."""
_WINDOW: Final = 200
"""How many predictions are judged together."""
_REFERENCE: Final = 1000
"""How many predictions it takes to know the usual share."""
_REMEMBERED: Final = 20_000
"""Beyond this many predictions the counts behind the usual share are halved, so that old ones count less."""
_JUDGED: Final = 3
_BAD: Final = 2


@dataclass(slots=True)
class Share:
    """Predictions of closed minutes, and how many of them had a label by then."""

    predictions: float = 0
    labelled: float = 0

    def add(self, other: "Share") -> None:
        """Pool them."""
        self.predictions += other.predictions
        self.labelled += other.labelled

    @property
    def of_all(self) -> float:
        """The labelled share; 0 if there are no predictions."""
        return min(1.0, self.labelled / self.predictions) if self.predictions > 0 else 0.0


@dataclass(slots=True)
class LabelsState:
    """Times are the broker's, in milliseconds; 0 where nothing came yet."""

    start: int
    predicted_ms: int = 0
    """The newest minute of predictions."""
    label_at_ms: int = 0
    """When the newest record with first labels was appended, and the newest minute of predictions at that time."""
    label_predicted_ms: int = 0
    label_row: int = 0
    unlabelled: int = 0
    """Predictions since."""
    longest_ms: list[int] = field(default_factory=lambda: [0, 0])
    """The longest time without labels in this week and in the one before."""
    week: int = 0
    silence: str = ""
    """The level at which the present silence was reported."""
    open: dict[int, Share] = field(default_factory=dict)
    """Minutes that are too young to be judged."""
    closed_ms: int = 0
    window: Share = field(default_factory=Share)
    window_row: int = 0
    usual: Share = field(default_factory=Share)
    bad: list[int] = field(default_factory=list)
    """1 for each of the last windows that had too few labels."""
    fall_row: int = 0
    """Where the first of these began."""
    fall: str = ""
    """The level at which the present fall was reported."""


class LabelsDetector(Detector):
    """Finds two faults of the data rather than of the model; all times are the broker's.

    Silence: predictions go on, and no label has come for twice the longest time that labels stayed away before. Fall:
    of the predictions that are `age` old, fewer have a label than is usual at that age. Both are looked for from the
    first label on.
    """

    kind: ClassVar[str] = "labels"
    threshold_field: ClassVar[str] = "fall"

    silence: Duration = Duration.parse("10m")
    """The shortest time without labels that is a silence."""
    least: int = Field(default=100, ge=1)
    """How many predictions must have come meanwhile."""
    age: Duration = Duration.parse("1h")
    """How old predictions are when their labels are counted. Where most labels come later, make it longer."""
    fall: float = Field(default=0.2, gt=0, lt=1)
    """The fall of the labelled share that matters, relative to the usual share."""

    def begin(self, row: int) -> LabelsState:
        """See `Detector`."""
        return LabelsState(row)

    def rows(self, state: LabelsState, observed: Observed) -> tuple[LabelsState, Sequence[Finding]]:
        """See `Detector`."""
        now, found = _copy(state), list[Finding]()
        minutes = observed.minutes
        places = zip(*(column.tolist() for column in (minutes.row, minutes.offset, minutes.at_ms)), strict=True)
        counts = (minutes.start_ms, minutes.predictions, minutes.labelled, minutes.labels_ms)
        for place, *entry in zip(places, *(column.tolist() for column in counts), strict=True):
            (row, offset, at_ms), (start_ms, predictions, labelled, labels_ms) = place, entry
            if predictions:
                now.predicted_ms = max(now.predicted_ms, start_ms)
                now.unlabelled += predictions
            if start_ms >= now.closed_ms:
                now.open.setdefault(start_ms, Share()).add(Share(predictions, labelled))
            if labelled:
                _heard(now, row, at_ms)
            elif now.label_at_ms:
                found += self._silence(now, row, offset, at_ms)
            found += self._closed(now, row, offset, labels_ms)
        return now, found

    def dump(self, state: LabelsState) -> bytes:
        """See `Detector`."""
        return json.dumps(asdict(state), sort_keys=True, separators=(",", ":")).encode()

    def load(self, data: bytes) -> LabelsState:
        """See `Detector`."""
        parts: dict[str, Any] = json.loads(data)
        parts["open"] = {int(start_ms): Share(**share) for start_ms, share in parts["open"].items()}
        parts["window"], parts["usual"] = Share(**parts["window"]), Share(**parts["usual"])
        return LabelsState(**parts)

    def _silence(self, now: LabelsState, row: int, offset: int, at_ms: int) -> Sequence[Finding]:
        silent_ms = _silent_ms(now, at_ms)
        limit_ms = max(self.silence.ms, 2 * max(now.longest_ms))
        if now.unlabelled < self.least or silent_ms < limit_ms or now.silence == "detected":
            return ()
        level: Level = "detected" if silent_ms >= _SURER * limit_ms else "suspected"
        if level == now.silence:
            return ()
        now.silence = level
        minutes = silent_ms // _MINUTE_MS
        return [
            Finding(
                level,
                SILENCE,
                statistic=silent_ms / 1000,
                threshold=limit_ms / 1000 * (_SURER if level == "detected" else 1),
                effect=silent_ms / 1000,
                reference=(now.start, now.label_row),
                test=(now.label_row, row),
                offset=offset,
                state_from=now.start,
                text=f"No label has come for {minutes} minutes, in which {now.unlabelled} predictions were made.",
                data_quality=True,
            )
        ]

    def _closed(self, now: LabelsState, row: int, offset: int, labels_ms: int) -> list[Finding]:
        """Judge minutes that are old enough by both clocks, of predictions and of labels: either log may be ahead."""
        found: list[Finding] = []
        until_ms = min(now.predicted_ms, labels_ms) - self.age.ms - _MINUTE_MS
        for start_ms in sorted(start_ms for start_ms in now.open if start_ms <= until_ms):
            share = now.open.pop(start_ms)
            now.closed_ms = start_ms + 1
            if not now.window.predictions:
                now.window_row = row
            now.window.add(share)
            if now.window.predictions >= _WINDOW:
                found += self._judged(now, row, offset)
                now.window = Share()
        return found

    def _judged(self, now: LabelsState, row: int, offset: int) -> Sequence[Finding]:
        """The verdict of the window that is full, together with the two before it."""
        usual, window = now.usual, now.window
        expected = usual.of_all
        limit = expected * (1 - self.fall)
        chance = 4 * sqrt(expected * (1 - expected) * (1 / window.predictions + 1 / max(1, usual.predictions)))
        bad = usual.predictions >= _REFERENCE and window.of_all < min(limit, expected - chance)
        if bad and not any(now.bad):
            now.fall_row = now.window_row
        now.bad = [*now.bad, int(bad)][-_JUDGED:]
        if not bad:
            usual.add(window)
            if usual.predictions > _REMEMBERED:
                usual.predictions, usual.labelled = usual.predictions / 2, usual.labelled / 2
            now.fall = now.fall if any(now.bad) else ""
            return ()
        level: Level = "detected" if sum(now.bad) >= _BAD else "suspected"
        if now.fall in ("detected", level):
            return ()
        now.fall = level
        return [
            Finding(
                level,
                SHARE,
                statistic=window.of_all,
                threshold=limit,
                effect=window.of_all - expected,
                reference=(now.start, now.fall_row),
                test=(now.fall_row, row),
                offset=offset,
                state_from=now.start,
                text=f"The {SHARE} fell from {expected:.3f} to {window.of_all:.3f} since row {now.fall_row}.",
                data_quality=True,
            )
        ]


def _silent_ms(now: LabelsState, at_ms: int) -> int:
    """For how long no label came: the shorter of two times, by predictions and by records.

    After a stop either log may be read much faster than time passes.
    """
    return min(now.predicted_ms - now.label_predicted_ms, at_ms - now.label_at_ms)


def _heard(now: LabelsState, row: int, at_ms: int) -> None:
    """Note that first labels have come."""
    week = at_ms // _WEEK_MS
    if now.label_at_ms:
        if week != now.week:
            now.longest_ms = [0, now.longest_ms[0]]
        now.longest_ms[0] = max(now.longest_ms[0], _silent_ms(now, at_ms))
    now.week, now.silence, now.unlabelled = week, "", 0
    now.label_at_ms, now.label_predicted_ms, now.label_row = max(at_ms, now.label_at_ms), now.predicted_ms, row


def _copy(state: LabelsState) -> LabelsState:
    """The same, to be changed."""
    return replace(
        state,
        longest_ms=list(state.longest_ms),
        open={start_ms: replace(share) for start_ms, share in state.open.items()},
        window=replace(state.window),
        usual=replace(state.usual),
        bad=list(state.bad),
    )
