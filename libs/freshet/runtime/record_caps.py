"""How large a record, and a batch of records, a producer's topics take: known once one of them has refused something.

`schemas/topics.yaml` says what a topic takes unless somebody altered it. A cluster may allow less; its limit is on a
batch of records that are sent together. While nothing is refused, none of this costs anything. After a refusal the
cluster is asked; if it may not tell, the client's batches are made smaller by half with each refusal.
"""

import time
from collections.abc import Callable, Collection, Sequence
from typing import Final

from freshet.contracts.topic_table import stanza
from freshet.runtime.bus.protocol import Send, TooLargeError
from freshet.runtime.dead_letter_records import ROLE as DEAD_LETTERS
from freshet.runtime.record_size import BATCH_HEADER_BYTES, headers_of, largest_bytes, record_bytes

KAFKAS_CAP_BYTES: Final = 1_048_588
"""Kafka's own `max.message.bytes`, for topics whose stanza does not say."""

BATCH_BYTES: Final = 1_000_000
"""How many bytes of records a client puts into one batch at most: librdkafka's default."""

SMALL_BATCH_BYTES: Final = 16_384
"""The same for clients that write little and must end after a refusal: nearly all topics take this much."""

_AGAIN_S: Final = 3.0
"""The shortest time between two questions for a dead-letters cap that is smaller than usual."""

_LONE_BYTES: Final = 80  # what a record without headers weighs alone, beyond its key and value; rounded up


class RecordCaps:
    """What the topics of one producer take."""

    def __init__(
        self,
        ask: Callable[[str], int | None],
        *,
        reopen: bool,
        most_bytes: int,
        exact: bool = True,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`ask` gives `max.message.bytes` of a role's topic, or None if that cannot be told; the client takes no record
        above `most_bytes`. Without `exact` (records are compressed) only the broker knows what is too large.

        See `bus.TransactionalProducer` about `reopen`: a client that may not reopen must never have a record refused,
        so it asks first.
        """
        self._ask, self._most_bytes, self._exact = ask, most_bytes, exact
        self._ask_first = not reopen
        self._asked: set[str] = set()
        self._known: dict[str, int] = {}
        self._letter_bytes = most_bytes
        self._now_s, self._told_s = now_s, 0.0
        self.batch_bytes = BATCH_BYTES if reopen else SMALL_BATCH_BYTES
        """What the client may put into one batch, from its next `open` on."""

    def of(self, role: str) -> int:
        """The largest batch that the role's topic takes, as far as is known.

        Dead letters are cut to this size, so no refusal would ever show that their topic takes more again: it is asked
        anew.
        """
        usual_bytes = stanza(role).max_message_bytes or KAFKAS_CAP_BYTES
        small = role == DEAD_LETTERS and self._known.get(role, usual_bytes) < usual_bytes
        if small and self._now_s() - self._told_s > _AGAIN_S:
            self._told(role)
        cap_bytes = self._known.get(role, usual_bytes)
        return min(cap_bytes, self._most_bytes, *([self._letter_bytes] if role == DEAD_LETTERS else []))

    def check(self, sends: Sequence[Send]) -> None:
        """Raises TooLargeError for a record that the broker would refuse, if that is known without sending it."""
        for send in sends:
            if self._ask_first and send.role not in self._asked:
                self._told(send.role)
            # Letters are made to fit. One that cannot be made smaller is for the broker to judge.
            if not self._exact or send.role == DEAD_LETTERS or not (self._ask_first or send.role in self._known):
                continue
            if self._over(send):
                self._told(send.role)  # it may have been raised
                if self._over(send):
                    raise TooLargeError(
                        f"{send.role}: a record of {largest_bytes(send)} bytes is more than the topic takes, which is "
                        f"{self.of(send.role)}. Nothing was written. Raise the topic's max.message.bytes."
                    )

    def refused(self, sends: Sequence[Send], roles: Collection[str] = ()) -> None:
        """Learn from a transaction that was refused for its size; `roles` are those whose topics refused, if known."""
        for role in roles or {send.role for send in sends}:
            if not self._told(role) and roles:
                self._guess([send for send in sends if send.role == role])
        self.batch_bytes = min([self.batch_bytes, *self._known.values()])

    def _over(self, send: Send) -> bool:
        """Whether a record is too large. Weighs each one only if the longest key and value together might be."""
        longest = sum(max(map(len, filter(None, column)), default=0) for column in (send.keys, send.values))
        if send.headers is None and longest + _LONE_BYTES <= self.of(send.role):
            return False
        return largest_bytes(send) > self.of(send.role)

    def _told(self, role: str) -> bool:
        """Ask for the topic's cap; False if that cannot be told."""
        self._asked.add(role)
        self._told_s = self._now_s()
        found = self._ask(role)
        if found is not None:
            self._known[role] = found
        return found is not None

    def _guess(self, refused: Sequence[Send]) -> None:
        """Lower the limits where the topic's cap is known by its refusals alone.

        As long as the batch may be too large rather than a record in it, batches are halved. A dead letter that was
        alone in its batch is halved, as it can be made smaller. Any other record is only called too large once the
        broker has refused it.
        """
        largest = max(map(largest_bytes, refused))
        if sum(len(send.values) for send in refused) > 1 and self.batch_bytes > largest:
            together = BATCH_HEADER_BYTES + sum(map(_rows_bytes, refused))
            self.batch_bytes = max(largest, min(self.batch_bytes, together) // 2)
        elif refused[0].role == DEAD_LETTERS:
            self._letter_bytes = largest // 2


def _rows_bytes(send: Send) -> int:
    return sum(map(record_bytes, send.keys, send.values, headers_of(send)))
