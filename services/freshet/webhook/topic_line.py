"""The records of one partition that wait to be sent, in order, and how far it is done."""

from collections import deque
from collections.abc import Iterable

from freshet.runtime.bus.protocol import Place
from freshet.webhook.core.delivery import Delivery
from freshet.webhook.posting import Posting


class TopicLine:
    """One record is sent at a time; the next one's turn comes when it was taken, or lies in the dead-letter file."""

    def __init__(self, place: Place, position: int) -> None:
        """`position`: the committed offset."""
        self.place = place
        self.committed = position
        self.posting: Posting | None = None
        self.tries = 0
        self.began_s = self.due_s = 0.0
        """When the first record in line was first tried, and when it may be tried again; monotonic."""
        self._waiting: deque[Delivery] = deque()
        self._next = position

    @property
    def first(self) -> Delivery | None:
        """Whose turn it is; None if none waits."""
        return self._waiting[0] if self._waiting else None

    @property
    def position(self) -> int:
        """Everything before it is done."""
        return self._waiting[0].source.offset if self._waiting else self._next

    def join(self, deliveries: Iterable[Delivery], read_to: int) -> None:
        """These wait now, and everything before `read_to` was read."""
        self._waiting.extend(deliveries)
        self._next = read_to

    def done(self) -> None:
        """The first one is done with."""
        self._waiting.popleft()
        self.tries, self.due_s = 0, 0.0

    def leave(self) -> None:
        """Wait for no answer any more."""
        if self.posting is not None:
            self.posting.leave()
            self.posting = None
