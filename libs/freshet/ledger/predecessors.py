"""Who served before, and may again: where a rollback goes, and who stands in."""

from bisect import bisect_left, insort
from collections.abc import Iterator


class Predecessors:
    """Versions in the order in which they served last. Each change costs the same however many there are."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._ranked: list[tuple[int, str]] = []

    def place(self, version: str, epoch: int) -> None:
        """This version served last in that epoch, and may again."""
        self.remove(version)
        self._last[version] = epoch
        insort(self._ranked, (epoch, version))

    def remove(self, version: str) -> None:
        """This version may not serve again, or never has."""
        if version in self._last:
            del self._ranked[bisect_left(self._ranked, (self._last.pop(version), version))]

    def before(self, version: str) -> Iterator[str]:
        """All others, the one that served last first."""
        return (other for _, other in reversed(self._ranked) if other != version)

    def copy(self) -> "Predecessors":
        """To look ahead."""
        copied = Predecessors()
        copied._last, copied._ranked = dict(self._last), list(self._ranked)
        return copied
