"""What could go wrong with state: every way is named S1 to S12 as in docs/traces.md, and played on the memory bus."""

import hashlib
from collections.abc import Callable
from itertools import pairwise

import pytest

from freshet.avro.control import encode
from freshet.runtime.bus.memory import SimulatedCrash
from freshet.runtime.bus.memory.partition_log import At
from freshet.runtime.bus.protocol import Committed, FatalError, RetriableError, Send, Transaction
from freshet.runtime.data_loop import DataLoop
from freshet.runtime.state import restoring
from support.state_stage import KEPT, NAMES, Stage, state
from support.stateful import INPUTS, KINDS, SERVICE, Checkpointed, Counter, Slabbed, Windowed

DAY_MS = 86_400_000

kinds = pytest.mark.parametrize("kind", KINDS)
kept_kinds = pytest.mark.parametrize("kind", list(KEPT))


def uncrashed(
    kind: type[Counter], play: Callable[[Stage, DataLoop], object]
) -> tuple[bytes, list[tuple[int, int, str]]]:
    """State and answers of one worker that nothing ever happened to."""
    stage = Stage(kind)
    return stage.served(play), stage.answers()


def plain(stage: Stage, loop: DataLoop) -> None:
    """Some rows of both inputs."""
    stage.turn(loop, times=3)
    for count in (5, 9, 20, 3):
        stage.feed(count)
        stage.feed(count // 2, "labels")
        stage.turn(loop, times=3)


def interrupt_once(stage: Stage, step: str) -> list[str]:
    """The next transaction that gets there is refused, or lost after it was committed."""
    interrupted: list[str] = []

    def interrupt(client: str, operation: str) -> None:
        if operation == step and not interrupted:
            interrupted.append(client)
            stage.cluster.disconnect()

    stage.cluster.before = interrupt
    return interrupted


@kinds
def test_s1_what_a_refused_batch_staged_is_gone(kind: type[Counter]) -> None:
    """The batch is read again and counted once: `discarded` came, not `committed`."""
    stage = Stage(kind)
    loop = stage.worker()
    stage.turn(loop, times=3)
    stage.feed(3)
    stage.turn(loop, times=3)
    stage.feed(6)
    stage.cluster.disconnect()
    stage.drain(loop)
    assert [count for _, _, count in stage.answers()] == [f"{'abc'[n % 3]}={n // 3 + 1}" for n in range(9)]


@kinds
def test_s2_a_rewind_restores_nothing_that_is_still_right(kind: type[Counter]) -> None:
    """Every owned partition is set back, again and again: the state is what memory holds, and nothing is read again."""
    stage = Stage(kind, partitions=3)
    loop = stage.worker(fixed=False)
    for partition in range(3):
        stage.feed(10, partition=partition)
    stage.drain(loop)
    folded = Counter.folded
    for _ in range(5):
        stage.cluster.disconnect()
        for partition in range(3):
            stage.feed(5, partition=partition)
        stage.drain(loop)
        stage.cluster.group(NAMES.group(SERVICE)).rebalance()
        stage.turn(loop)
    assert Counter.folded == folded
    assert len(stage.answers()) == len({answer[:2] for answer in stage.answers()}) == 105
    assert {count for _, _, count in stage.answers() if count.startswith("a")} <= {f"a={n}" for n in range(1, 40)}


@kinds
def test_s2_a_commit_that_landed_is_applied(kind: type[Counter]) -> None:
    """The acknowledgement is lost: the committed offsets are those of what is staged, which becomes the state."""
    stage = Stage(kind)
    loop = stage.worker()
    stage.feed(6)
    stage.drain(loop)
    folded = Counter.folded
    stage.feed(3)
    commit = loop._producer.commit

    def lost(transaction: Transaction) -> None:
        commit(transaction)
        loop._producer.commit = commit  # type: ignore[method-assign]
        raise RetriableError("the acknowledgement was lost.")

    loop._producer.commit = lost  # type: ignore[method-assign]
    stage.feed(3)
    stage.drain(loop)
    assert Counter.folded == folded
    assert [count for _, _, count in stage.answers()] == [f"{'abc'[n % 3]}={n // 3 + 1}" for n in range(12)]


@kinds
def test_s2_the_loop_polls_while_it_restores(kind: type[Counter], monkeypatch: pytest.MonkeyPatch) -> None:
    """A long restore is many short steps: between two of them the loop polls, and other partitions are answered."""
    monkeypatch.setattr(restoring, "STEP_ROWS", 5)
    monkeypatch.setattr(restoring, "_KEPT_RECORDS", 2)
    stage = Stage(kind, partitions=2)
    stage.feed(80, partition=0)
    stage.served()
    if kind in KEPT:
        stage.lose_state()
    again, calls = stage.worker(), list[str]()
    stage.cluster.before = lambda _client, operation: calls.append(operation)
    stage.feed(4, partition=1)
    stage.feed(4, partition=0)
    stage.drain(again)
    reads = [at for at, operation in enumerate(calls) if operation == "read"]
    between = [calls[a:b].count("collect") for a, b in pairwise(reads)]
    assert sum(map(bool, between)) >= 10
    assert len(stage.answers()) == 88


@pytest.mark.parametrize("lost", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("kind", [Slabbed, Windowed])
def test_s3_any_part_of_what_was_kept_is_right(kind: type[Counter], lost: float) -> None:
    """Slabs depend on nothing but their range: whichever are lost are read from the inputs, and written again."""
    expected, _ = uncrashed(kind, plain)
    stage = Stage(kind)
    stage.served(plain)
    slabs = stage.kept()
    assert len(slabs) >= 4
    stage.lose_state()
    keep = [slab for at, slab in enumerate(slabs) if (at * 7919 % 10) / 10 >= lost]
    if keep:
        values = [encode(slab) for slab in keep]
        stage.bus.producer().send(Send(KEPT[kind], [None] * len(keep), values, [0] * len(keep)))
    again = stage.worker()
    stage.turn(again)
    assert state(again) == expected
    for _ in range(4):
        stage.feed(4)
        stage.feed(4, "labels")
        stage.drain(again)
    made = {(slab.ranges[0].role, slab.ranges[0].first): slab.digest for slab in stage.kept()}
    assert made.items() >= {(slab.ranges[0].role, slab.ranges[0].first): slab.digest for slab in slabs}.items()


def put(stage: Stage, offsets: dict[str, Committed]) -> None:
    """An operator puts offsets of the group in place, each with the text of its metadata."""
    for role, committed in offsets.items():
        stage.cluster.group(NAMES.group(SERVICE)).commit(At(NAMES.topic(role), 0), committed)


@kinds
def test_s4_state_of_the_future_is_left_alone(kind: type[Counter]) -> None:
    """A backup of its offsets sets the group back to before what was kept: the state is theirs, from the inputs."""
    stage = Stage(kind)
    loop = stage.worker()
    stage.feed(10)
    stage.drain(loop)
    expected = state(loop)
    before = {role: at for role in INPUTS if (at := stage.committed_at(role)) is not None}
    stage.feed(30)
    stage.drain(loop)
    loop.close()
    put(stage, before)
    again = stage.worker()
    again.logic.waiting = {("features", 0), ("labels", 0)}  # type: ignore[attr-defined]
    stage.turn(again)
    assert state(again) == expected


@kinds
def test_s4_a_number_changed_beside_our_text_leaves_the_state_as_it_was(kind: type[Counter]) -> None:
    """A script sets it forth and keeps the text: the answers tell the offset, and nothing is left out of the state."""
    stage = Stage(kind)
    loop = stage.worker()
    stage.feed(30)
    stage.drain(loop)
    expected, ours = state(loop), stage.committed_at("features")
    assert ours is not None
    loop.close()
    stage.feed(10)
    put(stage, {"features": ours._replace(offset=ours.offset + 5)})
    again = stage.worker()
    again.logic.waiting = {("features", 0), ("labels", 0)}  # type: ignore[attr-defined]
    stage.turn(again)
    assert state(again) == expected
    committed = stage.committed_at("features")
    assert committed is not None
    assert committed.offset == ours.offset


@kept_kinds
def test_s5_empty_is_not_first(kind: type[Counter]) -> None:
    """The state topic is emptied: committed offsets say that there is state, so it is read from the inputs again."""
    expected, _ = uncrashed(kind, plain)
    stage = Stage(kind)
    stage.served(plain)
    stage.lose_state()
    assert stage.restored() == expected


@kept_kinds
def test_s5_where_nothing_is_left_no_empty_state_begins(kind: type[Counter]) -> None:
    """Neither kept nor in the inputs: the service stops with a sentence, as it would answer otherwise than before."""
    stage = Stage(kind)
    stage.feed(30)
    stage.served()
    stage.lose_state()
    stage.expire("features", 30)
    with pytest.raises(FatalError, match=r"state of partition 0 is lost: .* features/0 0 to 30"):
        stage.turn(stage.worker())


@kinds
def test_s6_a_tail_that_has_expired_stops_the_service(kind: type[Counter]) -> None:
    """What was kept reaches to some offset; the rows from there on are gone."""
    stage = Stage(kind)
    stage.feed(37)
    stage.served()
    ranges = [known for record in stage.kept() for known in record.ranges] if kind in KEPT else []
    end = max((known.end for known in ranges if known.role == "features"), default=0)
    assert end < 36
    stage.expire("features", 36)
    with pytest.raises(FatalError, match=rf"features/0 {end} to 36"):
        stage.turn(stage.worker())


@pytest.mark.parametrize("refused", [False, True])
def test_s6_a_log_that_falls_silent_is_kept_before_its_rows_expire(refused: bool) -> None:
    """After an hour without a row the state is kept as it is, and once; a refused transaction is tried again."""
    stage = Stage(Checkpointed)
    loop = stage.worker()
    stage.feed(37)
    stage.drain(loop)
    expected, before = state(loop), len(stage.kept())
    interrupted = interrupt_once(stage, "commit") if refused else []
    for _ in range(8):
        stage.clock.advance(DAY_MS // 24)
        stage.cluster.advance(DAY_MS // 24)
        stage.turn(loop, times=3)
    assert len(interrupted) == refused
    assert len(stage.kept()) == before + 1
    loop.close()
    stage.expire("features", 37)
    assert stage.restored() == expected
    stage.feed(2)
    stage.drain(stage.worker())
    assert len(stage.answers()) == 39


def test_s6_what_is_out_of_reach_may_expire() -> None:
    """Rows that matter no more are missed by nobody: the oldest one that is left shows how old they were."""
    stage = Stage(Windowed)
    loop = stage.worker()
    stage.feed(30)
    stage.drain(loop)
    stage.clock.advance(DAY_MS)
    stage.cluster.advance(DAY_MS)
    stage.feed(30)
    stage.drain(loop)
    expected = state(loop)
    loop.close()
    stage.lose_state()
    stage.expire("features", 20)
    assert stage.restored() == expected


@kinds
def test_s7_state_does_not_know_how_inputs_were_interleaved(kind: type[Counter]) -> None:
    """Labels before features or behind them, one by one or four at once: the same bytes, and the same answers."""
    a, b = Stage(kind), Stage(kind, rows=1)
    found = []
    for stage, order in ((a, INPUTS), (b, INPUTS[::-1])):
        for role in INPUTS:
            stage.feed(20, role)
        loop = stage.worker()
        loop.logic.waiting = {(order[0], 0)}  # type: ignore[attr-defined]
        stage.turn(loop, times=30)
        loop.logic.waiting = set()  # type: ignore[attr-defined]
        stage.drain(loop)
        found.append((state(loop), stage.answers()))
    assert found[0] == found[1]


@kinds
def test_s8_restoring_does_nothing_but_restore(kind: type[Counter]) -> None:
    """No answer, no announcement, no job: rows are taken in, not answered again."""
    stage = Stage(kind)
    served = stage.served(plain)
    answers = stage.answers()
    again = stage.worker()
    stage.turn(again)
    assert isinstance(again.logic, Counter)
    assert again.logic.answered == 0
    assert stage.answers() == answers
    assert state(again) == served


@kinds
def test_s9_rows_are_taken_in_under_the_plan_of_then(kind: type[Counter]) -> None:
    """A new plan between two batches, a crash behind it: the state is that of the worker that lived through it.

    Where nothing is kept, a new plan is taken to have been in force from the beginning: then nothing has to be known.
    """
    stage = Stage(kind)
    loop = stage.worker(plan=1)
    stage.feed(13)
    stage.feed(5, "labels")
    stage.drain(loop)
    loop.logic.now_plan = 2  # type: ignore[attr-defined]
    stage.feed(14)
    stage.drain(loop)
    loop.logic.now_plan = 3  # type: ignore[attr-defined]
    stage.feed(3)
    stage.feed(2, "labels")
    stage.drain(loop)
    weights = {weight for _, _, count in stage.answers() for weight in [int(count[2:])]}
    assert max(weights) > 10, "too weak"
    loop.close()
    again = stage.worker(plan=4)
    stage.turn(again)
    again.logic.now_plan = 3  # type: ignore[attr-defined]
    stage.turn(again)
    assert state(again) == state(loop)


@kept_kinds
def test_s10_state_of_another_format_is_left_to_who_can_read_it(
    kind: type[Counter], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a roll-back: nothing of the partition is read, and `/ready` says why; it never begins empty."""
    monkeypatch.setattr(kind, "state_format", 2)
    stage = Stage(kind)
    stage.served(plain)
    monkeypatch.setattr(kind, "state_format", 1)
    again = stage.worker()
    stage.feed(5)
    stage.turn(again)
    assert "has format 2, and this release reads 1" in (again.unready() or "")
    answered = len(stage.answers())
    monkeypatch.setattr(kind, "state_format", 2)
    again.close()
    able = stage.worker()
    stage.drain(able)
    assert len(stage.answers()) == answered + 5


@kept_kinds
def test_state_of_a_format_that_can_still_be_read_goes_on(kind: type[Counter], monkeypatch: pytest.MonkeyPatch) -> None:
    """After an upgrade: what the older release kept is not made again, and the rows that come are answered."""
    stage = Stage(kind)
    stage.served(plain)
    monkeypatch.setattr(kind, "state_format", 2)
    monkeypatch.setattr(kind, "older_formats", (1,))
    again = stage.worker()
    stage.feed(5)
    answered = len(stage.answers())
    stage.drain(again)
    assert len(stage.answers()) == answered + 5


@kept_kinds
def test_s11_what_is_committed_but_not_yet_visible_is_waited_for(kind: type[Counter]) -> None:
    """A stranger's transaction is open on the state topic: who restored now would not see what lies behind it."""
    stage = Stage(kind)
    loop = stage.worker()
    stage.feed(9)
    stage.drain(loop)
    stranger = stage.bus.transactional_producer("stranger", "0")
    stranger.open()

    def crash(step: str, _: str) -> None:
        if step == "produced":
            raise SimulatedCrash

    role = KEPT[kind]
    stage.cluster.failpoint = crash
    with pytest.raises(SimulatedCrash):
        stranger.commit(Transaction([Send(role, [b"x"], [b"junk"], [0])]))
    stage.cluster.failpoint = None
    stage.feed(30)
    stage.drain(loop)
    expected = state(loop)
    loop.close()
    again = stage.worker()
    stage.turn(again, times=5)
    assert "wait" in (again.unready() or "")
    stage.cluster.advance(20_000)
    stage.turn(again)
    assert again.unready() is None
    assert state(again) == expected


@kinds
def test_s12_lost_offsets_do_not_lose_the_state(kind: type[Counter]) -> None:
    """The group was idle for too long: offsets come from the answers, and the state for them from what there is."""
    stage = Stage(kind)
    stage.feed(20)
    expected = stage.served()
    group = stage.cluster.group(NAMES.group(SERVICE))
    group.forget(NAMES.topic("features"))
    again = stage.worker()
    stage.turn(again)
    assert state(again) == expected
    stage.feed(1)
    stage.drain(again)
    assert stage.answers()[-1] == (0, 20, "c=7")


@kinds
def test_state_of_an_input_that_was_made_anew_is_not_that_of_the_old_one(kind: type[Counter]) -> None:
    """Its offsets begin again, and mean other rows: what was kept of the old topic's is never taken for them."""
    stage = Stage(kind)
    stage.feed(40)
    stage.served()
    stage.cluster.remake_topic(NAMES.topic("features"))
    stage.feed(1)
    stage.feed(22)
    expected = stage.served()
    assert expected.count(b'"') // 2 == 23 + len(INPUTS)
    assert stage.restored() == expected


@kept_kinds
def test_what_lies_on_another_partition_of_the_state_topic_is_not_ours(kind: type[Counter]) -> None:
    """A backup was put back by a tool that chose partitions by its own rule: another partition's state is not taken."""
    stage = Stage(kind, partitions=2)
    stage.feed(31, partition=0)
    stage.feed(40, partition=1)
    loop = stage.worker()
    stage.drain(loop)
    loop.close()
    strays = [record for record in stage.kept() if record.partition == 0]
    stage.lose_state()
    stage.send(KEPT[kind], [b"0"] * len(strays), [encode(record) for record in strays], 1)
    again = stage.worker()
    stage.turn(again)
    assert state(again, 1) == state(loop, 1)


@kept_kinds
@pytest.mark.parametrize("damage", ["body", "no ranges", "a range twice"])
def test_a_state_record_that_cannot_be_used_ends_no_process(kind: type[Counter], damage: str) -> None:
    """Whoever wrote it, with a digest that fits: it is left out, and what it stands for is read from the inputs."""
    stage = Stage(kind)
    stage.feed(30)
    expected = stage.served()
    *others, last = stage.kept()
    stage.lose_state()
    body = last.body[:-1] if damage == "body" else last.body
    ranges = {"no ranges": (), "a range twice": last.ranges * 2}.get(damage, last.ranges)
    odd = last.model_copy(update={"body": body, "digest": hashlib.sha256(body).hexdigest(), "ranges": ranges})
    for record in (*others, odd):
        stage.send(KEPT[kind], [b"0"], [encode(record)])
    assert stage.restored() == expected
