"""A transaction that ends while it is asked about is no error: nobody can say any more whose it was."""

from typing import Any, cast

import pytest

from freshet.runtime.bus.kafka import transactions, wire
from freshet.runtime.bus.kafka.admin import Brokers, Ends, KafkaAdmin


class _Admin:
    """One open transaction, as far as the ends of its partition tell."""

    def partitions(self, topics: Any) -> set[tuple[str, int]]:
        return {("events", 0)}

    def ends(self, places: Any) -> dict[tuple[str, int], Ends]:
        return {("events", 0): Ends(5, 9)}

    def plain_brokers(self, topic: str, partition: int) -> Brokers:
        return Brokers(("localhost", 1), (("localhost", 1),))

    def timestamp_at(self, topic: str, partition: int, offset: int) -> int:
        return 7


def test_a_transaction_that_has_just_ended_has_no_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    """The leader then names no producer."""
    monkeypatch.setattr(wire, "open_transactions", lambda *_: [])
    (found,) = transactions.find_hanging(cast(KafkaAdmin, _Admin()), ["events"], longest_s=0.0)
    assert (found.producer_id, found.transactional_id, found.running, found.since_ms) == (None, None, None, 7)
