"""Which records of a topic are meant: from where to where in each partition, as a person says it and as it is."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from freshet.operate.operate_error import OperateError
from freshet.operate.times import moment_ms
from freshet.runtime.bus.protocol import Bus, Span

_OFFSET: Final = re.compile(r"\d+")
_OFFSETS: Final = re.compile(r"\d+:\d+(,\d+:\d+)*")


@dataclass(frozen=True, slots=True)
class TopicRange:
    """Offsets of a role's topic: in each partition those of [first, end)."""

    role: str
    topic_id: str
    offsets: Mapping[int, tuple[int, int]]
    """First and end by partition, ascending."""

    @property
    def first_text(self) -> str:
        """What --from takes to mean this range's beginning again."""
        return ",".join(f"{partition}:{first}" for partition, (first, _) in self.offsets.items())

    @property
    def end_text(self) -> str:
        """What --to takes to mean this range's end again."""
        return ",".join(f"{partition}:{end}" for partition, (_, end) in self.offsets.items())


def topic_range(bus: Bus, role: str, first: str, end: str, now_ms: int) -> TopicRange:
    """The range that --from and --to mean; without them all that a read_committed reader sees now.

    A bound is a moment (`2026-05-01T12:00Z`), a time ago (`2h`), one offset for all partitions (`0`), or one for each
    (`0:120,1:98`; a partition that is left out is not meant). `end` is exclusive. Raises OperateError where the topic
    does not exist, and for offsets that it does not hold: a range with fewer records than were asked for would pass
    for the whole one.
    """
    spans = dict(sorted(bus.spans(role).items()))
    if not spans:
        raise OperateError(f"the {role} topic does not exist yet. Create it with `freshet topics apply`.", "failed")
    firsts = {number: span.low for number, span in spans.items()}
    ends = {number: span.end for number, span in spans.items()}
    if first:
        firsts = _Bounds(bus, role, "--from", spans).meant(first, now_ms)
    if end:
        ends = _Bounds(bus, role, "--to", spans).meant(end, now_ms)
    offsets = {number: (firsts[number], ends[number]) for number in spans if number in firsts and number in ends}
    for number, (low, high) in offsets.items():
        if low > high:
            raise OperateError(f"partition {number}: --from is offset {low}, which lies behind --to, {high}.", "usage")
    return TopicRange(role, bus.topic_id(role), offsets)


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Reads what one of the two options says."""

    bus: Bus
    role: str
    option: Literal["--from", "--to"]
    spans: Mapping[int, Span]

    def meant(self, text: str, now_ms: int) -> dict[int, int]:
        """The offset of each partition that is meant."""
        if _OFFSET.fullmatch(text):
            given = dict.fromkeys(self.spans, int(text))
        elif _OFFSETS.fullmatch(text):
            given = {int(number): int(offset) for number, _, offset in (one.partition(":") for one in text.split(","))}
        else:
            at = self.bus.offsets_at(self.role, self._moment_ms(text, now_ms))
            # what lies behind the beginning of an open transaction can be looked up, but not be read
            return {number: min(offset, self.spans[number].end) for number, offset in at.items()}
        for number, offset in given.items():
            self._check(number, offset)
        return given

    def _moment_ms(self, text: str, now_ms: int) -> int:
        try:
            return moment_ms(text, now_ms, self.option)
        except OperateError as error:
            raise OperateError(
                f"{self.option}: {text!r} is neither a moment (2026-05-01T12:00Z), nor a time ago (2h), nor one offset "
                "for all partitions (0), nor one for each (0:120,1:98).",
                "usage",
            ) from error

    def _check(self, number: int, offset: int) -> None:
        if number not in self.spans:
            raise OperateError(
                f"{self.option}: the {self.role} topic has no partition {number}, only 0 to {max(self.spans)}.", "usage"
            )
        span = self.spans[number]
        where = f"{self.option}: partition {number} of the {self.role} topic"
        if offset > span.end:
            hidden = " An open transaction hides what lies behind it; wait until it has ended." if span.open else ""
            raise OperateError(f"{where} can be read up to offset {span.end}, not to {offset}.{hidden}", "usage")
        if offset < span.low:
            raise OperateError(
                f"{where} begins at offset {span.low}: retention has taken offset {offset}. Leave {self.option} out, "
                "or name an offset that is there.",
                "usage",
            )
