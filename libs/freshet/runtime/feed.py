"""Follows control topics: decoded facts in log order, and whether all that was there at the start has been read."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import structlog

from freshet.avro.control import decode
from freshet.contracts.errors import ContractError, NewerRecordError
from freshet.contracts.logic import Fact
from freshet.runtime.bus.protocol import LogReader

_READ_LIMIT: Final = 1000
_DECISIVE: Final = frozenset({"pipelines", "models", "rollouts", "decisions"})
"""Roles whose records say what is in force: where such a record cannot be read, nothing may be decided."""
_TOLD_KEY: Final = 200
"""Of a stranger's key, which may fill a record, so many characters are told."""
_LOG: Final = "decisions"
"""The topic on which a later record does not replace an earlier one of its key; on the others it does."""


class Feed:
    """Facts of some control topics from the beginning on.

    A record that cannot be read is counted in `refused` and left out. Decisions from the rest stay right, because each
    control record is complete by itself. The first such record of a role is logged, and after that only each doubling
    of their number, so that rubbish on a topic cannot flood the log. But nothing may be decided without a record that a
    newer Freshet wrote: `newer` names each pipeline that has one, and why. Only a process of the newer release can go
    on there.
    """

    def __init__(self, reader: LogReader, on_unreadable: Callable[[str, str], None] = lambda *_: None) -> None:
        """`on_unreadable` is told role and key of each record that cannot be read."""
        self._reader, self._on_unreadable = reader, on_unreadable
        self._log = structlog.get_logger("feed")
        self.refused: dict[str, int] = {}
        self._newer: dict[tuple[str, str], str] = {}
        self._counts: Counter[str] = Counter()
        self._told: Counter[str] = Counter()

    @property
    def newer(self) -> dict[str, str]:
        """By pipeline: why nothing can be decided here, because a newer Freshet wrote what is in force."""
        return {key.partition("/")[0]: why for (_, key), why in reversed(self._newer.items())}

    def facts(self, timeout_s: float = 0.0) -> Iterator[Fact]:
        """What has arrived since the last call, waiting at most that long for the first."""
        for batch in self._reader.read(_READ_LIMIT, timeout_s):
            for row, value in enumerate(batch.values):
                record = batch.records[row]
                key = (batch.keys[row] or b"").decode(errors="replace")
                try:
                    message = None if value is None else decode(batch.role, value)
                except ContractError as error:
                    self._refuse(batch.role, key, record.offset(), error)
                    continue
                if batch.role != _LOG:
                    self._newer.pop((batch.role, key), None)
                yield Fact(batch.role, key, message, record.timestamp()[1], record.offset())
        self._sum_up()

    def _refuse(self, role: str, key: str, offset: int, error: ContractError) -> None:
        self._on_unreadable(role, key)
        self.refused[role] = self.refused.get(role, 0) + 1
        self._counts[role] += 1
        pipeline = key.partition("/")[0]
        newer = isinstance(error, NewerRecordError) and role in _DECISIVE
        newly = newer and pipeline not in self.newer
        if newer:
            self._newer[role, key] = str(error)
        if newly or not self._told[role]:
            self._told[role] = self._counts[role]
            self._log.error("control_record_refused", role=role, key=key[:_TOLD_KEY], offset=offset, error=str(error))

    def _sum_up(self) -> None:
        for role, count in self._counts.items():
            if count >= 2 * self._told[role]:
                self._told[role] = count
                self._log.error("control_records_refused", role=role, count=count)

    def caught_up(self) -> bool:
        """True once all that was there when the feed was made (or `mark_ends` was called) has been returned."""
        return self._reader.caught_up()

    def mark_ends(self) -> None:
        """From now on `caught_up` means up to the present ends."""
        self._reader.mark_ends()

    def close(self) -> None:
        """Free the reader."""
        self._reader.close()


def roles_of(*groups: Sequence[str]) -> tuple[str, ...]:
    """All roles of the groups, once each, in order."""
    return tuple(dict.fromkeys(role for group in groups for role in group))
