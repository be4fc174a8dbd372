"""What an ingestion worker tells of its own part."""

from freshet.contracts.messages import PartitionState
from freshet.ingestion.core.logic import IngestionLogic
from support.ingestion import applied


def at(role: str, partition: int, held: str = "") -> PartitionState:
    """A partition as ingestion reports it."""
    return PartitionState(partition=partition, epoch=0, fallback=0, held=held, role=role)


def test_it_says_which_partitions_it_has_and_what_waits() -> None:
    """As they are now: what was taken from it is not told any more."""
    logic = IngestionLogic("loans")
    assert logic.report().partitions == ()
    logic.on_assign("events", 1, "")
    logic.on_assign("feedback", 0, "")
    why = logic.unready() or ""
    assert logic.report().partitions == (at("events", 1, why), at("feedback", 0, why))
    logic.fold(applied())
    logic.on_revoke("feedback", 0)
    list(logic.on_tick(1))
    assert logic.report().partitions == (at("events", 1),)
