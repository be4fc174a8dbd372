"""Partitions that wait: for their pipeline's record, or for a schema id that a producer uses ahead of time."""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from freshet.avro.schemas import may_be_event_id
from freshet.contracts.logic import Hold, Release

_VAIN_WAITS_MAX: Final = 3

Place = tuple[str, int]
"""Role and partition."""


class Wait(NamedTuple):
    """What a partition waits for."""

    reason: str
    schema_ids: frozenset[int]


class WaitingRoom:
    """Which partitions wait, since when each strange schema id is known, and which ids are no longer waited for."""

    def __init__(self, wait_ms: int) -> None:
        self._wait_ms = wait_ms
        self._held: dict[Place, Wait] = {}
        self._due: set[Place] = set()
        self._since_ms: dict[int, int | None] = {}  # None until a tick tells the time
        self._given_up: set[int] = set()

    def worth_waiting(self, schema_id: int) -> bool:
        """Whether somebody may still publish this id in time; never of an id that `freshet apply` does not give.

        After three vain waits nothing is waited for until a record comes: a producer of random ids must not hold its
        partitions for ever.
        """
        possible = may_be_event_id(schema_id) and schema_id not in self._given_up
        return possible and len(self._given_up) < _VAIN_WAITS_MAX

    def hold(self, role: str, partition: int, reason: str, schema_ids: Iterable[int] = ()) -> Hold:
        """The partition waits for all of these ids at once, or for anything new if there are none."""
        self.forget(role, partition)
        self._held[role, partition] = wait = Wait(reason, frozenset(schema_ids))
        for schema_id in wait.schema_ids:
            self._since_ms.setdefault(schema_id, None)
        return Hold(role, partition, reason)

    def reason(self, role: str, partition: int) -> str:
        """Why the partition waits; empty when it does not."""
        wait = self._held.get((role, partition))
        return wait.reason if wait else ""

    def forget(self, role: str, partition: int) -> None:
        """The partition starts anew, or is no longer ours."""
        self._held.pop((role, partition), None)
        self._due.discard((role, partition))

    def try_again(self) -> None:
        """Something changed: every partition is released at the next tick. The clock of a strange id runs on."""
        self._given_up.clear()
        self._due |= self._held.keys()

    def tick(self, now_ms: int) -> Iterator[Release]:
        """Give up on ids whose time is over, and release the partitions that have nothing left to wait for."""
        for schema_id, since_ms in list(self._since_ms.items()):
            if since_ms is None:
                self._since_ms[schema_id] = now_ms
            elif now_ms - since_ms >= self._wait_ms:
                del self._since_ms[schema_id]
                self._given_up.add(schema_id)
        self._due |= {at for at, wait in self._held.items() if wait.schema_ids and wait.schema_ids <= self._given_up}
        for place in sorted(self._due):
            self.forget(*place)
            yield Release(*place)
