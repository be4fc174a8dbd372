"""`alarm`: drift detection says that something has changed."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from freshet.contracts.messages import Alarm
from freshet.pipeline.trigger import Occasion, Seen, Trigger

_OBJECTIONS = {
    "own_rollout": "our own rollout is the cause: another model for the same world would not mend it, a rollback does.",
    "data_quality": "labels or data are the cause: a model that learned from them would learn what is wrong with them.",
}


class AlarmTrigger(Trigger):
    """Each alarm that is sure of itself, and every so many that are not in a row.

    It learns from what came since the change, as soon as that is enough to learn from.
    """

    kind: ClassVar[str] = "alarm"

    suspected: int = Field(default=0, ge=0)
    """So many alarms of level `suspected`, with none of level `detected` between, count as one; 0: they never do."""
    inputs: bool = False
    """Whether alarms about features and answers count, too. They tell what is different, not what is worse."""

    def occasions(self, seen: Seen) -> Sequence[Occasion]:
        found, doubtful = [], 0
        for alarm in seen.alarms:
            if alarm.watched != "outcomes" and not self.inputs:
                continue
            doubtful = doubtful + 1 if alarm.level == "suspected" else 0
            if alarm.level == "detected" or doubtful == self.suspected:
                doubtful = 0
                found.append(_occasion(alarm))
        return found[::-1]  # the newest knows best since when the world is as it is


def _occasion(alarm: Alarm) -> Occasion:
    objection = _OBJECTIONS.get(alarm.cause, "")
    if alarm.watched != "outcomes":  # its rows are not those of the labelled log
        return Occasion(AlarmTrigger.kind, alarm.id, objection=objection, at_ms=alarm.at_ms)
    return Occasion(AlarmTrigger.kind, alarm.id, alarm.test_from, alarm.test_to, objection, at_ms=alarm.at_ms)
