"""Which partitions were read to the end of their log, so that nothing follows, not even in an open transaction."""

from collections.abc import Iterator, Mapping
from typing import Final

from freshet.runtime.bus.protocol import Bus, Place, RangeReader

_MARKERS: Final = 64
"""How many offsets after the position are looked through for a record: only transaction markers may be there."""


class IdleLogs:
    """Asks the broker. Its client is made when it is first needed."""

    def __init__(self, bus: Bus, roles: tuple[str, ...]) -> None:
        self._bus, self._roles = bus, roles
        self._reader: RangeReader | None = None

    def among(self, positions: Mapping[Place, int]) -> Iterator[Place]:
        """Those partitions that hold nothing at their position or after it. Raises RetriableError."""
        for role in self._roles:
            spans = self._bus.spans(role)
            for place, position in positions.items():
                if place.role == role and place.partition in spans:
                    span = spans[place.partition]
                    if not span.open and self._is_empty(place, position, span.end):
                        yield place

    def _is_empty(self, place: Place, first: int, end: int) -> bool:
        if first >= end:
            return True
        if end - first > _MARKERS:
            return False
        if self._reader is None:
            self._reader = self._bus.ranges(self._roles)
        return not self._reader.read(place, first, end)[0]

    def close(self) -> None:
        """Free the client."""
        if self._reader is not None:
            self._reader.close()
