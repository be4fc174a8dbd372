"""The cut-overs of one pipeline: from which offset on each partition is answered at which position in history."""

from freshet.contracts.messages import Cutover
from freshet.contracts.position import Position


class Cutovers:
    """Folds cut-overs, of all lanes and of all lives of the features topic."""

    def __init__(self) -> None:
        self.told: list[Cutover] = []
        """All of them, as they were written."""
        self.told_ms: list[int] = []
        """When each of these was written."""
        self._to_epoch: dict[int, dict[int, Cutover]] = {}
        self._since: dict[tuple[str, str, int, Position], int] = {}

    def fold(self, cut: Cutover, timestamp_ms: int = 0) -> None:
        """Take in a cut-over."""
        self.told.append(cut)
        self.told_ms.append(timestamp_ms)
        if not cut.fallback:
            self._to_epoch.setdefault(cut.epoch, {})[cut.partition] = cut
        self._since[cut.topic_id, cut.lane, cut.partition, Position(cut.epoch, cut.fallback)] = cut.first_offset

    def to_epoch(self, epoch: int) -> dict[int, Cutover]:
        """The cut-overs to an epoch, by partition; those to its understudies do not count."""
        return self._to_epoch.get(epoch, {})

    def since(self, lane: str, partition: int, position: Position) -> int | None:
        """First offset that a partition was answered at this position, in the topic that was last written about."""
        return self._since.get((self.told[-1].topic_id, lane, partition, position)) if self.told else None
