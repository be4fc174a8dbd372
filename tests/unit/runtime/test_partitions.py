"""Partitions are set to their committed offsets while others flow: what goes wrong there costs no row of either."""

from collections.abc import Iterable
from itertools import product
from typing import get_args

import pytest

from freshet.contracts.batch import Batch
from freshet.contracts.logic import Effect, Hold
from freshet.runtime.bus.memory import SimulatedCrash
from freshet.runtime.bus.memory.partition_log import At
from freshet.runtime.bus.protocol import Committed, FatalError, Place, RetriableError, Transaction
from freshet.runtime.partition_states import MOVES, Event, Partition, State
from support.loops import NAMES, Answerer, Stand


def leave_a_transaction_open(stand: Stand, place: Place) -> None:
    """A stranger's transaction on this partition's offset, open until it times out."""
    producer = stand.bus.transactional_producer("inference", "stranger")
    producer.open()

    def crash(step: str, _: str) -> None:
        if step == "offsets_sent":
            raise SimulatedCrash

    group = stand.cluster.group(NAMES.group("inference"))
    member = stand.bus.consumer("inference", ["features"], None, "range")
    membership = member.membership()
    stand.cluster.failpoint = crash
    with pytest.raises(SimulatedCrash):
        producer.commit(Transaction(offsets={place: Committed(0, "e=0 f=0")}, membership=membership))
    stand.cluster.failpoint = None
    group.leave(member.member)


def test_a_batch_at_hand_outlives_a_partition_that_cannot_be_placed_yet() -> None:
    """A killed neighbour's partition waits for its open transaction to end, while rows of our own arrive."""
    stand = Stand()
    ours, neighbour = stand.loop(Answerer(), "0", fixed=False), stand.loop(Answerer(), "1", fixed=False)
    for _ in range(6):
        stand.turn(ours, times=1)
        stand.turn(neighbour, times=1)
    stand.feed(5, 0)
    stand.feed(5, 1)

    def crash(step: str, transactional_id: str) -> None:
        if step == "offsets_sent" and transactional_id.endswith(".1"):
            raise SimulatedCrash

    stand.cluster.failpoint = crash
    with pytest.raises(SimulatedCrash):
        stand.turn(neighbour, times=3)
    stand.cluster.failpoint = None
    stand.cluster.expire(stand.cluster.group(NAMES.group("inference")).members[1])
    stand.turn(ours, times=3)
    assert ours.unready() == "1 partitions wait for their committed offsets"
    stand.feed(5, 0)
    stand.turn(ours, times=3)
    stand.feed(5, 0)
    stand.turn(ours, times=3)
    stand.cluster.advance(20_000)
    stand.turn(ours)
    assert stand.answers() == stand.inputs()


def test_partitions_that_flow_already_are_not_placed_again() -> None:
    """Placing two partitions fails at the second: rows of the first that have arrived since must not be read again."""
    stand = Stand()
    loop, starts = stand.loop(Answerer()), 0

    def strike(_: str, operation: str) -> None:
        nonlocal starts
        starts += operation == "start"
        if operation == "start" and 2 <= starts < 6:
            raise RetriableError("the broker is away.")

    stand.cluster.before = strike
    stand.feed(5, 0)
    stand.turn(loop, times=3)
    stand.feed(5, 1)
    stand.turn(loop)
    assert starts == 6
    assert stand.answers() == stand.inputs()


def test_a_first_start_goes_on_after_a_rebalance_that_changed_nothing() -> None:
    """The generation moved on while the start had to wait: it is committed under the new one, not refused for ever."""
    stand = Stand()
    loop = stand.loop(Answerer())
    leave_a_transaction_open(stand, Place("features", 0))
    stand.turn(loop, times=3)
    stand.cluster.group(NAMES.group("inference")).rebalance()
    stand.cluster.advance(20_000)
    stand.feed(5, 0)
    stand.turn(loop)
    assert stand.answers() == stand.inputs()
    assert loop.unready() is None


def test_an_offset_that_an_operator_set_beyond_unanswered_records_stops_the_service() -> None:
    """Kafka's own tools leave an offset without metadata: serving from there would leave records without an answer.

    Set to where the topic begins, as the sentence says, all are answered.
    """
    stand = Stand()
    stand.feed(5, 0)
    set_by_an_operator(stand, 2)
    with pytest.raises(FatalError, match=r"features/0 was reset to 2, but .* set the group's offset .* to 0, where"):
        stand.turn(stand.loop(Answerer(), "0"))
    assert stand.answers() == []
    set_by_an_operator(stand, 0)
    stand.turn(stand.loop(Answerer(), "1"))
    assert stand.answers() == stand.inputs()


def test_records_that_were_deleted_first_need_no_answer() -> None:
    """The other way out: the topic begins where the operator set the offset, so nothing is left out."""
    stand = Stand()
    stand.feed(5, 0)
    set_by_an_operator(stand, 2)
    stand.cluster.truncate(NAMES.topic("features"), 0, 2)
    stand.turn(stand.loop(Answerer()))
    assert stand.answers() == [(0, 2), (0, 3), (0, 4)]


def set_by_an_operator(stand: Stand, offset: int) -> None:
    """Commit an offset of features/0 as a tool does, in a group without members."""
    group = stand.cluster.group(NAMES.group("inference"))
    for member in list(group.members):
        stand.cluster.expire(member)
    group.commit(At(NAMES.topic("features"), 0), Committed(offset))


@pytest.mark.parametrize(("state", "event"), list(product(get_args(State), get_args(Event))))
def test_a_partition_goes_only_where_its_table_says(state: State, event: Event) -> None:
    """Every state with every event: what is not listed is refused, and nothing leads back from `left`."""
    partition = Partition(state)
    if (state, event) in MOVES:
        partition.on(event)
        assert partition.state == MOVES[state, event] != state or event == "waits"
        return
    with pytest.raises(KeyError):
        partition.on(event)
    assert partition.state == state


def test_only_what_is_restored_flows() -> None:
    """`flowing` is entered from `restoring` or `waiting`, and left whenever something was read in vain."""
    assert {state for (state, _), to in MOVES.items() if to == "flowing"} == {"restoring", "waiting"}
    assert all(MOVES[state, "rewound"] == "arrived" for state in ("restoring", "flowing", "waiting"))


def test_what_a_logic_says_is_asked_again_and_again() -> None:
    """It says that a partition waits between two batches, without having seen a row of it: nothing is read of it."""
    stand, logic = Stand(), Answerer()
    loop = stand.loop(logic)
    stand.turn(loop, times=4)
    logic.hold = {1}
    stand.turn(loop, times=2)
    stand.feed(5, 1)
    stand.turn(loop)
    assert stand.answers() == []
    logic.hold = set()
    stand.turn(loop)
    assert stand.answers() == stand.inputs()


def test_a_hold_that_the_logic_does_not_stand_by_only_delays() -> None:
    """It forgets why: the rows are read again at the next chance, not never."""
    stand, logic = Stand(), _Forgetful()
    loop = stand.loop(logic)
    stand.feed(5, 1)
    stand.turn(loop)
    assert logic.holds == 1
    assert stand.answers() == stand.inputs()


class _Forgetful(Answerer):
    """Holds partition 1 once, and says when asked that it does not wait."""

    holds = 0

    def on_batch(self, batch: Batch) -> Iterable[Effect]:
        if 1 in batch.partitions and not self.holds:
            self.holds = 1
            return [Hold("features", 1, "not now")]
        return super().on_batch(batch)
