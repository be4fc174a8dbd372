"""What happened on the time axis: who answered when, how fresh that was, and when alarms were raised."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from freshet.console.core.axis import window
from freshet.console.core.quality_course import QualityCourse
from freshet.contracts.messages import Alarm
from freshet.ledger.ledger import PipelineLedger

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class CutMark:
    """An epoch that went live."""

    at_ms: int
    epoch: int
    versions: tuple[str, ...]
    cause: str
    other: bool
    """Whether another champion answers since then; else only a setting changed."""


@dataclass(frozen=True, slots=True)
class FreshMark:
    """While a version answered: until when it had seen labels."""

    version: str
    since_ms: int
    until_ms: int
    trained_ms: int
    answers_now: bool


@dataclass(frozen=True, slots=True)
class AlarmMark:
    """An alarm, by its number on the page."""

    at_ms: int
    number: int
    detected: bool
    text: str


@dataclass(frozen=True, slots=True)
class Marks:
    """All that a figure may mark, between two moments."""

    since_ms: int
    until_ms: int
    cuts: tuple[CutMark, ...]
    fresh: tuple[FreshMark, ...]
    alarms: tuple[AlarmMark, ...]


def marks(
    ledger: PipelineLedger,
    quality: QualityCourse,
    alarms: Sequence[Alarm],
    trained_ms: Mapping[str, int],
    now_ms: int,
) -> Marks:
    """The marks of the time that has something to see.

    `trained_ms` says, by version, when the newest label came that it has learned from.
    """
    history = list(ledger.epochs.history())
    begins = [tenure.since_ms for tenure in history] + [alarm.at_ms for alarm in alarms]
    begins += [first] if (first := quality.first_ms()) else []
    since_ms, until_ms = window(min((at for at in begins if at > now_ms - _DAY_MS), default=now_ms), now_ms)
    cuts, fresh, before = [], [], ""
    for tenure in history:
        versions = tuple(share.version for share in tenure.rollout.table)
        champion = versions[0] if versions else ""
        if tenure.since_ms >= since_ms:
            cuts.append(
                CutMark(tenure.since_ms, tenure.rollout.epoch, versions, tenure.rollout.cause, champion != before)
            )
        end_ms = tenure.until_ms if tenure.until_ms is not None else now_ms
        if champion in trained_ms and end_ms > since_ms:
            begin_ms, now = max(tenure.since_ms, since_ms), tenure.until_ms is None
            fresh.append(FreshMark(champion, begin_ms, end_ms, trained_ms[champion], now))
        before = champion
    told = tuple(
        AlarmMark(alarm.at_ms, number, alarm.level == "detected", alarm.text)
        for number, alarm in enumerate(alarms, 1)
        if alarm.at_ms >= since_ms
    )
    return Marks(since_ms, until_ms, tuple(cuts), tuple(fresh), told)
