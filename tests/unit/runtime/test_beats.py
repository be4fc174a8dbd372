"""What every worker tells of itself, and when: the runtime writes it, whatever the service."""

from dataclasses import replace
from itertools import count

from freshet.avro.control import decode
from freshet.contracts.logic import Decider, Fact
from freshet.contracts.messages import PartitionState, WorkerState
from freshet.contracts.topic_table import TopicNames
from freshet.contracts.worker import NOTHING_TO_REPORT, Process, WorkerReport
from freshet.runtime.beats import INTERVAL_MS, Beats
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.protocol import Send
from freshet.runtime.clock import ManualClock
from freshet.runtime.jobs import InlineJobs
from freshet.runtime.owner_loop import OwnerLoop
from freshet.runtime.service import no_jobs
from freshet.runtime.telemetry import Metrics
from support.loops import NAMES, Answerer, Stand

REPORT = WorkerReport(resident=("1.0.0",), partitions=(PartitionState(partition=2, epoch=7, fallback=0),))


class Told:
    """Keeps what is to be written."""

    def __init__(self) -> None:
        self.states: list[WorkerState] = []

    def put(self, send: Send) -> None:
        """See `Reports`."""
        (value,) = send.values
        state = decode(send.role, value or b"")
        assert isinstance(state, WorkerState)
        assert send.keys == [state.instance.encode()]
        self.states.append(state)

    def close(self) -> None:
        """See `Reports`."""


def beats(told: Told) -> Beats:
    """Of a shadow worker of inference on some machine, whose memory grows with every look at it."""
    names = replace(NAMES, lane="shadow")
    return Beats(told, names, "inference", "0", Process("node-7", 4711, 17), memory=count(1).__next__)


def test_the_record_is_the_whole_state() -> None:
    """There are no acknowledgements: who reads the last record knows all."""
    told = Told()
    beats(told).beat(REPORT, 0)
    assert told.states == [
        WorkerState(
            instance="inference/p@shadow/0",
            service="inference",
            pipeline="p",
            lane="shadow",
            interval_ms=INTERVAL_MS,
            resident=("1.0.0",),
            partitions=REPORT.partitions,
            memory_bytes=1,
            host="node-7",
            pid=4711,
            started_ms=17,
        )
    ]


def test_how_far_a_partition_is_read_is_told_with_the_next_beat() -> None:
    """It changes with each batch: that alone is no news, but the record that is due has the newest."""
    told = Told()
    worker = beats(told)
    for offset, now_ms in ((5, 0), (6, INTERVAL_MS - 1), (7, INTERVAL_MS)):
        at = PartitionState(partition=2, epoch=7, fallback=0, next_offset=offset)
        worker.beat(replace(REPORT, partitions=(at,)), now_ms)
    assert [state.partitions[0].next_offset for state in told.states] == [5, 7]


def test_the_record_is_written_at_once_when_it_changes_and_else_every_interval() -> None:
    """A worker is dead after three missed beats; memory alone is no news."""
    told = Told()
    worker = beats(told)
    for report, now_ms in (
        (NOTHING_TO_REPORT, 50),
        (NOTHING_TO_REPORT, 49 + INTERVAL_MS),
        (NOTHING_TO_REPORT, 50 + INTERVAL_MS),
        (REPORT, 51 + INTERVAL_MS),
        (REPORT, 50 + 2 * INTERVAL_MS),
    ):
        worker.beat(report, now_ms)
    assert [state.resident for state in told.states] == [(), (), ("1.0.0",)]


def test_a_worker_that_leaves_says_so() -> None:
    """Its last record owns no partition, so that nobody waits for its verdict, and its slot is free at once."""
    told = Told()
    worker = beats(told)
    worker.beat(REPORT, 0)
    worker.leave()
    assert (told.states[-1].leaving, told.states[-1].partitions, told.states[-1].resident) == (True, (), ("1.0.0",))


def test_every_data_service_beats_whatever_its_core_says() -> None:
    """A core that knows nothing of workers: joined it beats and tells its partitions, closed it has left."""
    stand, logic = Stand(), Answerer()
    logic.hold = {1}
    loop = stand.loop(logic)
    stand.turn(loop, times=4)
    loop.close()
    assert {state.instance for state in stand.workers()} == {"inference/p/0"}
    *_, told, bye = stand.workers()
    assert [(at.role, at.partition, at.held) for at in told.partitions] == [
        ("features", 0, ""),
        ("features", 1, "told to"),
    ]
    assert (told.resident, told.leaving) == (("a",), False)
    assert (bye.partitions, bye.leaving) == ((), True)


class Clerk(Decider):
    """A decider that has nothing to decide, or waits."""

    waits: tuple[str, ...] = ()

    def warnings(self) -> tuple[str, ...]:
        """See `Decider`."""
        return self.waits

    def fold(self, fact: Fact) -> None:
        """It follows nothing."""

    def pipelines(self) -> tuple[str, ...]:
        """See `Decider`."""
        return ()


def test_an_owner_beats_too_and_one_without_reports_is_not_heard() -> None:
    """Under the name that whoever looks for a registry knows, once it owns; a stand-in for one stays silent."""
    for told in (Told(), None):
        clock, bus = ManualClock(), MemoryBus(MemoryCluster(), TopicNames())
        owner = OwnerLoop(
            Clerk(),
            bus,
            bus.names,
            service="registry",
            jobs=InlineJobs(no_jobs),
            clock=clock,
            metrics=Metrics(),
            reports=told,
            process=Process("node-7", 4711, 17),
        )
        for _ in range(4):
            owner.step(0.0)
        owner.close()
        if told is not None:
            assert [(state.instance, state.pipeline, state.host, state.leaving) for state in told.states] == [
                ("registry/owner", "", "node-7", False),
                ("registry/owner", "", "node-7", True),
            ]


def test_what_an_owner_waits_for_is_in_its_beat_and_it_is_not_ready() -> None:
    """At once, and not only when the next beat is due; once it waits no more, both are over."""
    clerk, told, bus = Clerk(), Told(), MemoryBus(MemoryCluster(), TopicNames())
    owner = OwnerLoop(
        clerk,
        bus,
        bus.names,
        service="registry",
        jobs=InlineJobs(no_jobs),
        clock=ManualClock(),
        metrics=Metrics(),
        reports=told,
    )
    seen = []
    for waits in ((), (), (), ("pipeline p: a key.",), ()):
        clerk.waits = waits
        owner.step(0.0)
        seen.append(owner.unready())
    owner.close()
    assert seen[2:] == [None, "pipeline p: a key.", None]
    assert [state.warnings for state in told.states] == [(), ("pipeline p: a key.",), (), ()]
