"""Which marks of the main figure have a label, and where it stands: no label lies under a mark or another label."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from freshet.console.core.axis import Axis, text
from freshet.console.core.marks import AlarmMark, CutMark

LABELS_APART: Final = 46.0
"""The room that the label of an epoch takes."""
_DIGIT: Final = 7.0
"""The width of a digit, at most."""
_HALF: Final = 6.0
"""Half the width of an alarm's triangle."""


class AlarmGroup(NamedTuple):
    """Alarms that lie so close together that they have one label."""

    first: int
    last: int
    begin: float
    end: float
    """Where its first triangle is, and its last one."""

    @property
    def words(self) -> str:
        """The numbers of its alarms."""
        return str(self.first) if self.first == self.last else f"{self.first}–{self.last}"

    def reaches(self, x: float) -> bool:
        """Whether a triangle there would lie on its label."""
        return x - _HALF < self._label_end

    def label(self, y: float, width: float) -> str:
        """Behind its last triangle, or before the first one where the figure has no room."""
        if self._label_end <= width:
            return text(self.end + _HALF + 1, y, self.words, "twb halo")
        return text(self.begin - _HALF - 1, y, self.words, "twb halo", "end")

    @property
    def _label_end(self) -> float:
        return self.end + _HALF + 1 + _DIGIT * len(self.words)


def alarm_groups(alarms: Sequence[AlarmMark], axis: Axis) -> list[AlarmGroup]:
    """All of these alarms, which are in the order of time."""
    groups: list[AlarmGroup] = []
    for alarm in alarms:
        x = axis.x(alarm.at_ms)
        if groups and groups[-1].reaches(x):
            groups[-1] = groups[-1]._replace(last=alarm.number, end=x)
        else:
            groups.append(AlarmGroup(alarm.number, alarm.number, x, x))
    return groups


def named_epochs(cuts: Sequence[CutMark], axis: Axis) -> set[int]:
    """The epochs with a label: as far as there is room, and first those that changed who answers."""
    taken: list[float] = []
    named: set[int] = set()
    for cut in sorted(cuts, key=lambda one: not one.other):
        x = axis.x(cut.at_ms)
        if all(abs(x - other) > LABELS_APART for other in taken):
            taken.append(x)
            named.add(cut.epoch)
    return named
