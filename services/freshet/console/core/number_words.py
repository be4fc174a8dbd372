"""Numbers as the page writes them. What is not known is a dash, never 0 and never empty."""

import math
from datetime import UTC, datetime
from typing import Final

UNKNOWN: Final = "–"
_MINUS: Final = "−"
_DAY_MS: Final = 86_400_000


def rate_words(per_s: float | None) -> str:
    """Records per second: `2.6 /s`, `9,870 /s`."""
    if per_s is None:
        return UNKNOWN
    return f"{per_s:,.1f} /s" if per_s < 100 else f"{per_s:,.0f} /s"


def span_words(seconds: float | None) -> str:
    """A length of time: `0.4 s`, `38 s`, `42 min`, `5 h 42`, `6 d 02`."""
    if seconds is None:
        return UNKNOWN
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:02.0f}"
    return f"{seconds // 86_400:.0f} d {seconds % 86_400 // 3600:02.0f}"


def lag_words(seconds: float | None) -> str:
    """A lag: always in seconds up to 999."""
    return span_words(seconds) if seconds is None or seconds < 10 or seconds > 999 else f"{seconds:.0f} s"


def share_words(share: float | None) -> str:
    """An accuracy or another share with three digits: `.858`, `1.000`."""
    if share is None or math.isnan(share):
        return UNKNOWN
    return f"{share:.3f}".removeprefix("0")


def percent_words(share: float | None) -> str:
    """A share in whole percent: `96 %`."""
    return UNKNOWN if share is None or math.isnan(share) else f"{100 * share:.0f} %"


def figure_words(value: float | None, *, classes: bool) -> str:
    """What says how good answers are: an accuracy, or the mean error of a regression with three digits that count."""
    if classes:
        return share_words(value)
    return UNKNOWN if value is None or math.isnan(value) else signed(f"{value:,.3g}")


def count_words(count: int | None) -> str:
    """A count or an offset: `2,110,849`."""
    return UNKNOWN if count is None else f"{count:,}"


def megabytes_words(size: int) -> str:
    """A size in memory: `212 MB`; unknown for 0."""
    return f"{size / 1e6:,.0f} MB" if size else UNKNOWN


def signed(text: str) -> str:
    """With a true minus sign."""
    return text.replace("-", _MINUS)


def added_words(value: float) -> str:
    """What a feature added to an answer, with four digits that count: `+0.118`, `−1.332`; nothing is `0`."""
    return signed(f"{value:+.4g}") if value else "0"


def minute_words(at_ms: int) -> str:
    """A moment in UTC to the minute: `23:41`."""
    return _utc(at_ms).strftime("%H:%M")


def second_words(at_ms: int, now_ms: int) -> str:
    """A moment in UTC to the second, with its date if that was more than a day before now."""
    form = "%H:%M:%S" if abs(now_ms - at_ms) < _DAY_MS else "%Y-%m-%d %H:%M:%S"
    return _utc(at_ms).strftime(form)


def _utc(at_ms: int) -> datetime:
    """A moment; those that no calendar reaches become its first or its last one."""
    return datetime.fromtimestamp(min(max(at_ms, 0), 253_402_300_799_000) / 1000, UTC)


def plural(count: int, what: str) -> str:
    """`1 partition`, `2 partitions`."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
