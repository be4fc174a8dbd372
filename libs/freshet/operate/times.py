"""Times as people give and read them."""

from datetime import UTC, datetime

from freshet.operate.operate_error import OperateError
from freshet.pipeline import Duration


def duration_ms(text: str, option: str) -> int:
    """A length of time such as `90s` or `5m`; OperateError names the option."""
    try:
        return Duration.parse(text).ms
    except ValueError as error:
        raise OperateError(f"{option}: {error}.", "usage") from error


def moment_ms(text: str, now_ms: int, option: str = "--since") -> int:
    """`2h` (ago), or a moment such as 2026-05-01T12:00:00Z, local time if it names no zone; milliseconds since 1970, 0
    for no text.
    """
    if not text:
        return 0
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return now_ms - duration_ms(text, option)
    return round((at if at.tzinfo else at.astimezone()).timestamp() * 1000)


def range_ms(since: str, last: str, now_ms: int) -> int | None:
    """Where a range begins that is given as --since or as --last; None for neither."""
    if since and last:
        raise OperateError("--since and --last both say where to begin: give one of them.", "usage")
    return now_ms - duration_ms(last, "--last") if last else moment_ms(since, now_ms) or None


def clock_time(at_ms: int) -> str:
    """A moment in UTC to the millisecond, as records are listed; as a number where no calendar reaches."""
    try:
        at = datetime.fromtimestamp(at_ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return f"{at_ms} ms after 1970"
    return at.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def ago(at_ms: int, now_ms: int) -> str:
    """How long ago, roughly."""
    seconds = max(0, now_ms - at_ms) / 1000
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
