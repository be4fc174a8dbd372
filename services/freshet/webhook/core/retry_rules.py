"""What an answer of the receiver means: taken, try again after a pause, or give up."""

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0
"""Of the pauses that the bridge chooses itself; the receiver may ask for a longer one."""
_TRY_AGAIN: Final = frozenset({408, 429})
_OK: Final = 200
_REDIRECT: Final = 300
_SERVER_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of one try."""

    status: int
    """Of HTTP; 0 if there was no answer."""
    detail: str = ""
    """Why there was none."""
    retry_after: str = ""
    """The header of this name."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The receiver has it."""


@dataclass(frozen=True, slots=True)
class TryAgain:
    """It has not, and may take it later."""

    pause_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It will not be tried again."""

    reason: str


def judge(answer: Reply, tries: int, tried_s: float, patience_s: float, now_s: float) -> Taken | TryAgain | GiveUp:
    """What to do after this many tries, the first of which began `tried_s` ago. `now_s`: Unix time.

    The last try comes when `patience_s` is over, however long the pauses would be.
    """
    if _OK <= answer.status < _REDIRECT:
        return Taken()
    reason = f"HTTP {answer.status}" if answer.status else "no answer"
    if answer.detail:
        reason = f"{reason}: {answer.detail}"
    if answer.status and answer.status < _SERVER_ERROR and answer.status not in _TRY_AGAIN:
        return GiveUp(f"{reason}. Such an answer is final.")
    if tried_s >= patience_s:
        return GiveUp(f"{reason}. It was tried for {tried_s:.0f} s.")
    pause_s = max(pause_after(tries), asked_pause_s(answer.retry_after, now_s))
    return TryAgain(min(pause_s, patience_s - tried_s), reason)


def pause_after(tries: int) -> float:
    """1 s after the first try, then twice as long each time, up to a minute."""
    return float(min(FIRST_PAUSE_S * 2 ** min(tries - 1, 10), LONGEST_PAUSE_S))


def asked_pause_s(retry_after: str, now_s: float) -> float:
    """How long `Retry-After` asks to wait: whole seconds or a date; 0 if it says nothing that can be read."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now_s)
    except (TypeError, ValueError, OverflowError):
        return 0.0
