"""From frames of one kind to windows that are compared: with a reference that is learned, and with the same hours."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Self

from freshet.contracts.profile_messages import Frame, FrameKind
from freshet.detectors.input_detector import Look, Window
from freshet.profiles.bin_edges import BinEdges
from freshet.profiles.frame_content import FrameContent
from freshet.profiles.frame_making import HOUR_MS
from freshet.profiles.frame_records import PlacedFrame

_REMEMBERED: Final = 40
"""So many of the newest windows are kept, so that a model's training range can be found among them."""
_REMEMBERED_COLUMNS: Final = 1600
"""And at most so many columns of them together, as the state of a wide pipeline must fit into one record."""
_FEWEST: Final = 5
"""How much a number varies by chance cannot be told from fewer windows."""
_USUAL_WINDOWS: Final = 20
"""Of one hour of the day rows of about so many windows are remembered; older ones count less and less."""
_DAY: Final = 24
_USUAL_COLUMNS: Final = 2500
"""Of all hours together so many columns are remembered; hours of wide pipelines are put together for that."""
_LEARNED_COLUMNS: Final = 4000
"""So many columns of all windows of the reference together: of wide pipelines fewer windows are learned from."""
MOST_COLUMNS: Final = 400
"""Wider rows are not compared: what must be remembered of them does not fit into one record."""
_SATURDAY: Final = 5


class TrainedOn(NamedTuple):
    """What a version learned from: so many rows, the newest of which had its label by then."""

    rows: int
    through_ms: int


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """The state of one kind of frames, after those so far."""

    kind: FrameKind
    row: int = 0
    """Rows of this kind so far."""
    names: tuple[str, ...] = ()
    open: Window | None = None
    start: int = 0
    """The row from which on the reference is learned."""
    learned: tuple[Window, ...] = ()
    is_whole: bool = False
    """Whether nothing is added to what was learned any more, however few windows it is: a model learned from these."""
    recent: tuple[Window, ...] = ()
    usual: Mapping[int, FrameContent] = field(default_factory=dict)
    """By hour of the day, those of the weekend by themselves: the rows of days that are over."""
    today: Mapping[int, tuple[int, FrameContent]] = field(default_factory=dict)
    """By the same, the newest day with rows of that hour, and what they looked like."""

    def values(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "kind": self.kind,
            "row": self.row,
            "names": self.names,
            "open": _values(self.open) if self.open else None,
            "start": self.start,
            "learned": [_values(window) for window in self.learned],
            "is_whole": self.is_whole,
            "recent": [_values(window) for window in self.recent],
            "usual": {str(phase): content.values() for phase, content in sorted(self.usual.items())},
            "today": {str(phase): [day, content.values()] for phase, (day, content) in sorted(self.today.items())},
        }

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """The state that gave these values."""
        return cls(
            values["kind"],
            values["row"],
            tuple(values["names"]),
            _window(values["open"]) if values["open"] else None,
            values["start"],
            tuple(map(_window, values["learned"])),
            values["is_whole"],
            tuple(map(_window, values["recent"])),
            {int(phase): FrameContent.of_values(content) for phase, content in values["usual"].items()},
            {int(phase): (day, FrameContent.of_values(content)) for phase, (day, content) in values["today"].items()},
        )

    def begun_anew(self) -> "Series":
        """What comes from now on is learned as the reference."""
        return replace(self, start=self.row, learned=(), is_whole=False)

    @property
    def edges(self) -> str:
        """Between which values its rows are counted, by id; empty at the beginning."""
        last = self.open or (self.recent[-1] if self.recent else None)
        return last.content.edges if last is not None else ""

    def trained(self, on: TrainedOn) -> "Series":
        """With the rows that a model learned from as the reference, as far as enough windows of them are kept."""
        rows, chosen = 0, list[Window]()
        for window in reversed(self.recent):
            if window.last_ms <= on.through_ms and rows < on.rows:
                chosen.insert(0, window)
                rows += window.content.rows
        if len(chosen) < _FEWEST:
            return self
        return replace(self, start=chosen[0].from_row, learned=tuple(chosen), is_whole=True)

    def then(
        self, placed: PlacedFrame, *, rows: int, windows: int, edges: Callable[[str], BinEdges | None]
    ) -> tuple["Series", Look | None]:
        """The state after one more frame, and the look at the window that it ends, if there is a reference.

        A window is over with the frame that brings it to so many rows; so many windows are learned from. Frames
        without bins, those of an older list of columns, and those of too many are passed over.
        """
        frame = placed.frame
        now = replace(self, row=self.row + frame.rows)
        if not frame.edges or self._is_older(frame) or len(frame.names) > MOST_COLUMNS:
            return now, None
        if frame.names != self.names or frame.edges != (self.edges or frame.edges):
            now = Series(self.kind, now.row, frame.names, start=self.row)
        one = _window_of(placed, self.row, now.row)
        both = one if now.open is None else _joined(now.open, one)
        if both.content.rows < rows:
            return replace(now, open=both), None
        return replace(now, open=None)._closed(both, rows=rows, windows=windows, edges=edges)

    def _is_older(self, frame: Frame) -> bool:
        """Lists of features grow; that of answers is shorter than an older release's, of very many classes."""
        if self.kind == "features":
            return len(frame.names) < len(self.names)
        return bool(self.names) and len(frame.names) > len(self.names)

    def _closed(
        self, window: Window, *, rows: int, windows: int, edges: Callable[[str], BinEdges | None]
    ) -> tuple["Series", Look | None]:
        """The state after a window is over."""
        between = edges(window.content.edges)
        windows = max(_FEWEST, min(windows, _LEARNED_COLUMNS // max(1, len(self.names))))
        now, look = self._with_usual(window, rows), None
        is_whole = self.is_whole or len(self.learned) >= windows
        if is_whole and between is not None:
            whole = FrameContent.added([one.content for one in self.learned])
            known = [found for phase in window.phases if (found := now._usual_at(phase, rows)) is not None]
            usual = FrameContent.added(known) if len(known) == len(window.phases) else None
            look = Look(self.kind, window, self.learned, whole, self.start, usual, between)
        learned = self.learned if is_whole else (*self.learned, window)
        kept = max(_FEWEST, min(_REMEMBERED, _REMEMBERED_COLUMNS // max(1, len(self.names))))
        return replace(now, learned=learned, recent=(*self.recent, window)[-kept:]), look

    def _usual_at(self, phase: int, rows: int) -> FrameContent | None:
        """Enough rows of that hour, else of the same hour of the other kind of day."""
        found = (self.usual.get(phase), self.usual.get((phase + _DAY) % (2 * _DAY)))
        return next((content for content in found if content is not None and content.rows >= rows), None)

    def _with_usual(self, window: Window, rows: int) -> "Series":
        """With this window among its hours' rows of today; those of a day before become usual."""
        usual, today, day = dict(self.usual), dict(self.today), window.last_ms // (_DAY * HOUR_MS)
        for phase in window.phases:
            before = today.get(phase)
            if before is not None and before[0] != day:
                usual[phase] = _added(usual.get(phase), before[1], rows)
                before = None
            today[phase] = day, _added(before and before[1], window.content, rows)
        return replace(self, usual=usual, today=today)


def phase_of(at_ms: int, columns: int = 1) -> int:
    """The hour of the day (UTC), 24 more at the weekend; of many columns the first of some hours together."""
    at = datetime.fromtimestamp(at_ms // HOUR_MS * HOUR_MS / 1000, UTC)
    hours = next(hours for hours in (1, 2, 3, 4, 6, 8, 12, _DAY) if 2 * _DAY * columns <= hours * _USUAL_COLUMNS)
    return at.hour // hours * hours + (_DAY if at.weekday() >= _SATURDAY else 0)


def _window_of(placed: PlacedFrame, from_row: int, end_row: int) -> Window:
    frame: Frame = placed.frame
    since = {frame.partition: frame.from_offset}
    phases = (phase_of(frame.first_ms, len(frame.names)),)
    return Window(FrameContent.of(frame), from_row, end_row, placed.offset, frame.last_ms, since, phases)


def _joined(before: Window, after: Window) -> Window:
    return Window(
        FrameContent.added([before.content, after.content]),
        before.from_row,
        after.end_row,
        after.offset,
        max(before.last_ms, after.last_ms),
        {**after.since, **before.since},
        tuple(sorted({*before.phases, *after.phases})),
    )


def _added(before: FrameContent | None, more: FrameContent, rows: int) -> FrameContent:
    """Both, as one group; halved once it is of more rows than are remembered."""
    both = FrameContent.added([more] if before is None else [before, more]).as_one_group()
    return both.halved() if both.rows > _USUAL_WINDOWS * rows else both


def _values(window: Window) -> dict[str, Any]:
    named = {name: getattr(window, name) for name in ("from_row", "end_row", "offset", "last_ms", "phases")}
    return {**named, "since": {str(key): at for key, at in window.since.items()}, "content": window.content.values()}


def _window(values: Mapping[str, Any]) -> Window:
    return Window(
        FrameContent.of_values(values["content"]),
        values["from_row"],
        values["end_row"],
        values["offset"],
        values["last_ms"],
        {int(key): at for key, at in values["since"].items()},
        tuple(values["phases"]),
    )
