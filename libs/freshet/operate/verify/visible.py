"""Reads output topics up to what was written before a moment, waiting for transactions that were open then."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from freshet.contracts.batch import Batch
from freshet.runtime.bus.protocol import Bus, Place
from freshet.runtime.clock import Clock, SystemClock
from freshet.runtime.reading import until_caught_up

PATIENCE_S: Final = 30.0
"""Longer than a transaction may stay open: 15 s until its time is over, 10 s until the broker looks, and some more."""

_PAUSE_S: Final = 0.2


@dataclass(slots=True)
class Patience:
    """How long open transactions are waited for, over all topics together."""

    limit_s: float = PATIENCE_S
    clock: Clock = field(default_factory=SystemClock)
    _since_ms: int | None = None

    def pause(self) -> bool:
        """Wait a little; False once the time is over. It runs from the first call on."""
        now_ms = self.clock.now_ms()
        if self._since_ms is None:
            self._since_ms = now_ms
        if now_ms - self._since_ms >= self.limit_s * 1000:
            return False
        self.clock.sleep(_PAUSE_S)
        return True


class Horizon:
    """What had been written when it was made, and is to be read: the ends of some topics, open transactions included.

    `proven` are the ends of what had been committed by then. They are taken first, of all topics, so that whatever came
    before a record below one of them is within the horizon.
    """

    def __init__(self, bus: Bus, roles: Sequence[str]) -> None:
        self.proven = {role: {number: span.end for number, span in bus.spans(role).items()} for role in roles}
        self.highs = {role: {number: span.high for number, span in bus.spans(role).items()} for role in roles}

    def read(
        self, bus: Bus, role: str, patience: Patience, starts: Mapping[Place, int] | None = None
    ) -> Iterator[Batch]:
        """All readable records within the horizon, and some beyond it; each partition's in order.

        Raises RetriableError if the broker falls silent.
        """
        reader = bus.reader([role], starts)
        try:
            while True:
                yield from until_caught_up(reader, role)
                if not self.hidden(bus, role) or not patience.pause():
                    return
                reader.mark_ends()
        finally:
            reader.close()

    def hidden(self, bus: Bus, role: str) -> dict[int, tuple[int, int]]:
        """First and last offset that an open transaction hides, of each partition that it hides any of."""
        highs = self.highs[role]
        return {
            number: (span.end, highs[number] - 1)
            for number, span in bus.spans(role).items()
            if span.end < highs.get(number, 0)
        }
