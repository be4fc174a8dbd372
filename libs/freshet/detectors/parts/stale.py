"""`stale`: features or answers have stopped: those of one partition, all of them while others go on, or everything."""

from collections.abc import Sequence
from typing import Any, ClassVar, Final, NamedTuple

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
_ALONE: Final = 3
"""So many frames of one input bear each other out."""
EVERYTHING: Final = "features and answers"


class _Came(NamedTuple):
    """When rows of an input came."""

    kind: str
    partition: int
    first_ms: int
    last_ms: int

    def borne_out(self, held: "Sequence[_Came]") -> bool:
        """Whether another input's rows came at about this time, or more of this one did."""
        alike = [one for one in held if abs(one.first_ms - self.first_ms) <= HOUR_MS]
        return len({one[:2] for one in alike}) > 1 or sum(one[:2] == self[:2] for one in held) >= _ALONE

    def at_most(self, other: "_Came") -> "_Came":
        """As come with the other rows, if its time is over an hour behind theirs."""
        return self if self.first_ms <= other.last_ms + HOUR_MS else self.at(other.last_ms)

    def at(self, now_ms: int) -> "_Came":
        """As if these rows had come then."""
        return self._replace(first_ms=now_ms, last_ms=now_ms)


class StaleDetector(InputDetector):
    """Knows for each partition of features and of answers, and for both as a whole, when its newest row came.

    A silence is counted in the time of all rows, in which a hole of all of them is an hour at most: after a stop of
    everything nobody was silent. The frame of a slow partition is over an hour late, so the shortest silence is longer.

    A time over an hour ahead of all others is believed once another input bears it out, or the third frame of the same
    one. Else some clock was wrong: its rows count as come now.

    A stop of everything is told once rows come again, as there is no record before that could tell it. It is detected
    once an hour of rows has come without one from a slow partition that belongs into the hole.
    """

    kind: ClassVar[str] = "stale"
    threshold_field: ClassVar[str] = "silence"

    silence: Duration = Duration.parse("3h")
    """The shortest time without rows that is a silence."""
    cool_down: int = Field(default=0, ge=0)
    """A silence is told once; that of another partition is another one."""

    def begin(self) -> Any:
        """See `InputDetector`."""
        return {"newest_ms": 0, "clock_ms": 0, "seen": {}, "hole": None, "longest_hole_ms": 0, "held": []}

    def frame(self, state: Any, placed: PlacedFrame, row: int) -> tuple[Any, Sequence[InputFinding]]:
        """See `InputDetector`."""
        frame, newest_ms = placed.frame, state["newest_ms"]
        came = _Came(frame.kind, frame.partition, frame.first_ms, frame.last_ms)
        held = [_Came(*one) for one in state.get("held", ())]  # what an older release kept has none
        is_ahead = came.first_ms > newest_ms + HOUR_MS
        if is_ahead and (not held or came.first_ms >= held[0].first_ms - HOUR_MS):
            held.append(came)
            if not came.borne_out(held):
                return {**state, "held": held}, ()
            due, held = [one.at_most(came) for one in held], []
        elif is_ahead or frame.last_ms >= newest_ms:  # the others go on as before: the clock of what is held is wrong
            due = [one.at(newest_ms) for one in held if newest_ms]
            due, held = (due, [came]) if is_ahead else ([*due, came], [])
        else:
            due = [came]
        found = list[InputFinding]()
        for one in due:
            state, more = self._taken(state, one, placed, row)
            found += more
        return {**state, "held": held}, found

    def _taken(self, state: Any, frame: "_Came", placed: PlacedFrame, row: int) -> tuple[Any, list[InputFinding]]:
        """The state after rows that came at these times; what they show is told at the frame of `placed`."""
        hole, longest_hole_ms, found = self._everything(state, frame, placed, row)
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
        now = {"newest_ms": newest_ms, "clock_ms": clock_ms, "seen": seen}
        return {**now, "hole": hole, "longest_hole_ms": longest_hole_ms}, found

    def _everything(
        self, state: Any, frame: "_Came", placed: PlacedFrame, row: int
    ) -> tuple[list[int] | None, int, list[InputFinding]]:
        """The hole in all rows that is not sure yet, as [from, to, limit] in ms, the longest one, and what is found."""
        newest_ms, found = state["newest_ms"], list[InputFinding]()
        hole, longest_ms = state.get("hole"), state.get("longest_hole_ms", 0)  # what an older release kept has none
        if hole and hole[0] < frame.last_ms and frame.first_ms < hole[1]:
            hole = _without(hole, frame.first_ms, frame.last_ms)
        silent_ms = frame.first_ms - newest_ms if newest_ms else 0
        limit_ms = max(self.silence.ms, _LONGER * longest_ms)
        if silent_ms >= limit_ms:
            hole = [newest_ms, frame.first_ms, limit_ms]
            found.append(_finding(EVERYTHING, "suspected", silent_ms / 1000, limit_ms / 1000, (row, placed)))
        elif hole and max(newest_ms, frame.last_ms) - hole[1] >= HOUR_MS:
            silent_ms = hole[1] - hole[0]
            found.append(_finding(EVERYTHING, "detected", silent_ms / 1000, hole[2] / 1000, (row, placed)))
            hole, longest_ms = None, max(longest_ms, silent_ms)
        elif hole is None:
            longest_ms = max(longest_ms, silent_ms)
        return hole, longest_ms, found


def _without(hole: Sequence[int], first_ms: int, last_ms: int) -> list[int] | None:
    """What is left of a hole in which a slow partition had these rows: its longer part, if that is long enough."""
    begin_ms, end_ms, limit_ms = hole
    parts = ([begin_ms, first_ms, limit_ms], [last_ms, end_ms, limit_ms])
    left = max(parts, key=lambda part: part[1] - part[0])
    return left if left[1] - left[0] >= limit_ms else None


def _finding(name: str, level: Level, silent_s: float, limit_s: float, at: tuple[int, PlacedFrame]) -> InputFinding:
    row, placed = at
    finding = Finding(
        level,
        name,
        statistic=silent_s,
        threshold=limit_s * (_SURER if level == "detected" and name != EVERYTHING else 1),
        effect=silent_s,
        reference=(0, row),
        test=(row, row + placed.frame.rows),
        offset=placed.offset,
        state_from=0,
        text=_sentence(name, silent_s / 60),
        data_quality=True,
    )
    return InputFinding(finding, {name: 1.0}, "data_quality")


def _sentence(name: str, minutes: float) -> str:
    if name == EVERYTHING:
        return f"No row of the {name} came for {minutes:,.0f} minutes; now they come again."
    return f"No row of the {name} has come for {minutes:,.0f} minutes, while others did."
