"""`stale`: features or answers have stopped, all of them or those of one partition, while others go on."""

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from pydantic import Field

from freshet.contracts.duration import Duration
from freshet.detectors.detector import Finding, Level
from freshet.detectors.input_detector import InputDetector, InputFinding
from freshet.profiles.frame_making import HOUR_MS
from freshet.profiles.frame_records import PlacedFrame

_LONGER: Final = 2
"""A silence is longer than this times the longest one before."""
_SURER: Final = 1.5
"""It is detected once it is this many times as long as a suspicious one."""


class StaleDetector(InputDetector):
    """Knows for each partition of features and of answers, and for both as a whole, when its newest row came.

    A silence is counted in the time of all rows, in which a hole of all of them is an hour at most: after a stop of
    everything nobody was silent. The frame of a slow partition is over an hour late, so the shortest silence is longer.
    """

    kind: ClassVar[str] = "stale"
    threshold_field: ClassVar[str] = "silence"

    silence: Duration = Duration.parse("3h")
    """The shortest time without rows that is a silence."""
    cool_down: int = Field(default=0, ge=0)
    """A silence is told once; that of another partition is another one."""

    def begin(self) -> Any:
        """See `InputDetector`."""
        return {"newest_ms": 0, "clock_ms": 0, "seen": {}}

    def frame(self, state: Any, placed: PlacedFrame, row: int) -> tuple[Any, Sequence[InputFinding]]:
        """See `InputDetector`."""
        frame, found = placed.frame, list[InputFinding]()
        seen = {name: list(entry) for name, entry in state["seen"].items()}
        newest_ms = max(state["newest_ms"], frame.last_ms)
        passed_ms = newest_ms - state["newest_ms"] if state["newest_ms"] else 0
        clock_ms = state["clock_ms"] + min(passed_ms, HOUR_MS)
        for name in (frame.kind, f"{frame.kind} of partition {frame.partition}"):
            last_ms, longest_ms, _ = seen.get(name, [clock_ms, 0, ""])
            seen[name] = [clock_ms, max(longest_ms, clock_ms - last_ms), ""]
        for name, (last_ms, longest_ms, told) in sorted(seen.items()):
            limit_ms = max(self.silence.ms, _LONGER * longest_ms)
            silent_ms = clock_ms - last_ms
            level: Level = "detected" if silent_ms >= _SURER * limit_ms else "suspected"
            if silent_ms >= limit_ms and told not in ("detected", level):
                seen[name] = [last_ms, longest_ms, level]
                found.append(_finding(name, level, silent_ms / 1000, limit_ms / 1000, (row, placed)))
        return {"newest_ms": newest_ms, "clock_ms": clock_ms, "seen": seen}, found


def _finding(name: str, level: Level, silent_s: float, limit_s: float, at: tuple[int, PlacedFrame]) -> InputFinding:
    row, placed = at
    finding = Finding(
        level,
        name,
        statistic=silent_s,
        threshold=limit_s * (_SURER if level == "detected" else 1),
        effect=silent_s,
        reference=(0, row),
        test=(row, row + placed.frame.rows),
        offset=placed.offset,
        state_from=0,
        text=f"No row of the {name} has come for {silent_s / 60:,.0f} minutes, while others did.",
        data_quality=True,
    )
    return InputFinding(finding, {name: 1.0}, "data_quality")
