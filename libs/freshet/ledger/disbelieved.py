"""The records of epochs that do not count, within bounds: whoever may write the topic may write any number of them."""

from collections.abc import Iterator

from freshet.ledger.room import Room
from freshet.ledger.vouching import Disbelieved


class DisbelievedEpochs:
    """The newest record of each epoch that does not count now, but may later: when keys or the specification change.

    What a trusted key has signed is always kept: of that there is only as much as the registry ever wrote, and no
    stranger's record takes its place. Of the others the highest epochs are kept, `room.MAX_BYTES` of them at most.
    """

    def __init__(self, *, whole: bool) -> None:
        """`whole`: keep all of an unjudged history too, as whoever decides by it must; see `Standing`."""
        self._whole = whole
        self._known: dict[int, Disbelieved] = {}
        self._room = Room[int]()
        """Of those that are kept within bounds."""
        self.dropped = 0
        """Records that were not kept since the pipeline was last deleted."""

    def add(self, doubted: Disbelieved) -> None:
        """Take in a record."""
        epoch, standing = doubted.record.epoch, doubted.doubt.standing
        before = self._known.get(epoch)
        if before is not None and before.doubt.standing == "signed" and standing != "signed":
            return
        self.discard(epoch)
        self._known[epoch] = doubted
        if standing == "refused" or (standing == "unknown" and not self._whole):
            self._room.charge(epoch, doubted.record)
            if self._room.full:
                self._drop()

    def _drop(self) -> None:
        """Half of it at once, so that a flood costs little for each record."""
        for epoch in sorted(self._room):
            if not self._room.half_full:
                return
            self.discard(epoch)
            self.dropped += 1

    def discard(self, epoch: int) -> None:
        """Nothing speaks against this epoch any more."""
        self._known.pop(epoch, None)
        self._room.free(epoch)

    def clear(self) -> None:
        """The pipeline was deleted."""
        self._known.clear()
        self._room.clear()
        self.dropped = 0

    def above(self, epoch: int) -> Disbelieved | None:
        """The highest one above that epoch, if there is any."""
        highest = max(self._known, default=0)
        return self._known[highest] if highest > epoch else None

    def __iter__(self) -> Iterator[Disbelieved]:
        """All that are kept, the lowest epoch first."""
        return iter([self._known[epoch] for epoch in sorted(self._known)])

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._known)
