"""The range of inputs that is judged, and where the topics must be read for it."""

from collections.abc import Mapping
from typing import Final

from freshet.runtime.bus.protocol import Bus, Place

_SKEW_MS: Final = 60_000  # brokers that lead different partitions may disagree about the time


class Window:
    """Inputs that the broker got at or after a moment; all there are without one.

    An answer is written after its input was: answers are read from that moment on, and a little before it. Those of
    them that answer earlier inputs are not judged.
    """

    def __init__(self, bus: Bus, since_ms: int | None) -> None:
        self._bus = bus
        self._since_ms = since_ms

    def inputs(self, role: str) -> Mapping[Place, int] | None:
        """The first judged offset of each partition; None for all."""
        return None if self._since_ms is None else self._at(role, self._since_ms)

    def outputs(self, role: str) -> Mapping[Place, int] | None:
        """Where to begin to read each partition's answers; None for all."""
        return None if self._since_ms is None else self._at(role, self._since_ms - _SKEW_MS)

    def _at(self, role: str, time_ms: int) -> dict[Place, int]:
        return {Place(role, number): offset for number, offset in self._bus.offsets_at(role, time_ms).items()}
