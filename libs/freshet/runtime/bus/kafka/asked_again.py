"""A question that a broker cannot answer just now is asked again, for whoever has no loop of its own that would."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

from freshet.runtime.bus.protocol import RetriableError

R = TypeVar("R")

_AGAIN_S: Final = 0.2


def asked_again(
    ask: Callable[[], R],
    patience_s: float,
    sleep: Callable[[float], None] = time.sleep,
    now_s: Callable[[], float] = time.monotonic,
) -> R:
    """What `ask` answers, however often it has to be asked within `patience_s` seconds; it must change nothing.

    Raises its RetriableError once they have passed, however long a single question took.
    """
    until_s = now_s() + patience_s
    while True:
        try:
            return ask()
        except RetriableError:
            if now_s() >= until_s:
                raise
        sleep(_AGAIN_S)
