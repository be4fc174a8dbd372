"""What lag is, without any Kafka."""

from freshet.contracts.position import stamped
from freshet.contracts.topic_table import TopicNames
from freshet.operate.lag.lag_rows import HOPS, NOTHING, Hop, PartitionLag, Unread, lag_of, partition_lag, start_of
from freshet.runtime.bus.protocol import Committed, Span

NAMES = TopicNames("dev.", "fraud")
NOW_MS = 100_000
LIFE, EARLIER = "AAAAAAAAAAAAAAAAAAAAAA", "BBBBBBBBBBBBBBBBBBBBBA"


def row(service: str, role: str, unread: Unread, position: int | None = 0, partition: int = 0) -> PartitionLag:
    """The lag of one partition, as of NOW_MS."""
    span = Span(0, 50, 50)
    return partition_lag(
        Hop(service, role), NAMES, partition, position=position, span=span, unread=unread, now_ms=NOW_MS
    )


def unread(records: int, first_ms: int, origin_ms: int | None = None) -> Unread:
    """That many records, of which the next came then."""
    return Unread(records, True, 7, first_ms, origin_ms)


def test_where_a_group_stands() -> None:
    """Nothing committed, an offset of an earlier topic, one that retention has overtaken, and an ordinary one."""
    span = Span(10, 50, 60)
    assert start_of(None, span, LIFE) == (None, 10)
    assert start_of(Committed(20, stamped("", EARLIER, 20)), span, LIFE) == (None, 10)
    assert start_of(Committed(5, stamped("", LIFE, 5)), span, LIFE) == (5, 10)
    assert start_of(Committed(20, stamped("e=1 f=0", LIFE, 20)), span, LIFE) == (20, 20)
    assert start_of(Committed(20, "of another program"), span, LIFE) == (20, 20)


def test_an_age_runs_from_the_append_time_and_never_below_zero() -> None:
    """With the origin known it tells that age too; a record from a clock that is ahead has not waited yet."""
    waits = row("inference", "features", unread(3, 90_000, 80_000))
    assert (waits.seconds, waits.origin_seconds) == (10.0, 20.0)
    assert (waits.group, waits.topic) == ("dev.freshet.inference.fraud", "dev.fraud.features")
    ahead = row("inference", "features", unread(3, NOW_MS + 5000))
    assert (ahead.seconds, ahead.origin_seconds) == (0.0, 0.0)
    none = row("inference", "features", NOTHING)
    assert (none.records, none.seconds, none.next_offset) == (0, 0.0, None)


def test_a_path_is_as_late_as_the_oldest_event_on_it() -> None:
    """By the age of the event, not of the record made of it; the path to an outcome goes on where answers end."""
    rows = [
        row("ingestion", "events", unread(2, 95_000)),
        row("inference", "features", unread(5, 99_000, 70_000)),
        row("drift-join", "predictions", unread(9, 98_000, 60_000)),
        row("drift-join", "labels", NOTHING),
    ]
    found = lag_of("fraud", rows, (), NOW_MS)
    prediction, outcome = found.paths
    assert (prediction.records, prediction.seconds, prediction.waits_at) == (7, 30.0, ("inference", "features"))
    assert (outcome.records, outcome.seconds, outcome.waits_at) == (16, 40.0, ("drift-join", "predictions"))


def test_who_was_never_started_keeps_nobody_waiting_unless_answers_need_it() -> None:
    """Without drift there are no outcomes, and nobody waits for them; without inference everybody waits."""
    rows = [
        row("inference", "features", unread(5, 90_000), None),
        row("drift-join", "predictions", unread(9, 60_000), None),
    ]
    found = lag_of("fraud", rows, (), NOW_MS)
    assert [path.seconds for path in found.paths] == [10.0, 10.0]
    assert [hop.started for hop in found.hops] == [False, False]


def test_a_hop_sums_its_partitions_and_tells_the_longest_wait() -> None:
    """One that only estimates makes the sum an estimate."""
    rows = [
        row("ingestion", "events", unread(2, 95_000), partition=0),
        row("ingestion", "events", Unread(4, False, 7, 97_000), partition=1),
        row("ingestion", "events", NOTHING, partition=2),
    ]
    (hop,) = lag_of("fraud", rows, (), NOW_MS).hops
    assert (hop.records, hop.exact, hop.seconds, hop.behind, hop.partitions) == (6, False, 5.0, 2, 3)


def test_nothing_under_way_waits_nowhere() -> None:
    """Both paths are at 0."""
    found = lag_of("fraud", [row(*hop, NOTHING) for hop in HOPS], (), NOW_MS)
    assert {(path.records, path.seconds, path.waits_at) for path in found.paths} == {(0, 0.0, None)}
