"""Schema ids that a producer uses ahead of time: which partitions wait for them, and how long."""

from collections.abc import Iterable
from typing import Final

from freshet.avro.own_schemas import may_be_event_id

_VAIN_WAITS_MAX: Final = 3


class AwaitedSchemas:
    """Which unknown schema ids each partition has met, since when each is known, and which are not waited for."""

    def __init__(self, wait_ms: int) -> None:
        self._wait_ms = wait_ms
        self._met: dict[tuple[str, int], frozenset[int]] = {}
        self._since_ms: dict[int, int | None] = {}  # None until a tick tells the time
        self._given_up: set[int] = set()

    def worth_waiting(self, schema_id: int) -> bool:
        """Whether somebody may still publish this id in time; never of an id that `freshet apply` does not give.

        After three vain waits nothing is waited for until a record comes: a producer of random ids must not hold its
        partitions for ever.
        """
        possible = may_be_event_id(schema_id) and schema_id not in self._given_up
        return possible and len(self._given_up) < _VAIN_WAITS_MAX

    def wait(self, role: str, partition: int, schema_ids: Iterable[int]) -> None:
        """The partition waits for all of these ids at once: one wait, not one for each."""
        self._met[role, partition] = frozenset(schema_ids)
        for schema_id in self._met[role, partition]:
            self._since_ms.setdefault(schema_id, None)

    def waits(self, role: str, partition: int) -> str:
        """Why the partition waits; empty when it does not."""
        met = self._met.get((role, partition), frozenset())
        if met <= self._given_up:
            return ""
        some = ", ".join(map(str, sorted(met)[:5]))
        return f"events with unknown schema id {some}: waiting for `freshet apply` to publish that schema."

    def forget(self, role: str, partition: int) -> None:
        """The partition starts anew, or is no longer ours."""
        self._met.pop((role, partition), None)

    def try_again(self) -> None:
        """A record came: every partition looks at its rows again. The clock of a strange id runs on."""
        self._given_up.clear()
        self._met.clear()

    def tick(self, now_ms: int) -> None:
        """Give up on ids whose time is over."""
        for schema_id, since_ms in list(self._since_ms.items()):
            if since_ms is None:
                self._since_ms[schema_id] = now_ms
            elif now_ms - since_ms >= self._wait_ms:
                del self._since_ms[schema_id]
                self._given_up.add(schema_id)
