"""Chance against drift: what its three services say follows from predictions and labels, whatever happens to them."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final

from freshet.contracts.logic import Logic
from freshet.drift.core.detect import DetectLogic
from freshet.drift.core.evaluate import EvaluateLogic
from freshet.drift.core.join.logic import JoinLogic
from freshet.drift.service import DETECT, EVALUATE, JOIN
from freshet.operate.verify.drift.drift_judge import judge_drift
from freshet.operate.verify.visible import Patience
from freshet.runtime.bus.memory import SimulatedCrash
from freshet.runtime.bus.memory.partition_log import At
from freshet.runtime.bus.protocol import BusError, Committed
from freshet.runtime.data_loop import DataLoop
from freshet.testing import MemoryPipeline
from support.inference import model
from support.join_stage import NAMES
from support.join_world import PIPELINE, JoinWorld
from support.simulation.processes import Turning

_PARTITIONS: Final = 2
_MINUTE_MS: Final = 60_000
_DAY_MS: Final = 24 * 60 * _MINUTE_MS
_CALLS_OF_A_TURN: Final = 40
_PATIENCE: Final = 200
_WINDOWS: Final = {
    "{horizon: 10m, grace: 1m, wait: 2m}": 26 * _MINUTE_MS,
    "{horizon: 10m, grace: 1m, wait: 2m, absent_after: 8m, means: ok}": 26 * _MINUTE_MS,
    "{horizon: 3d, grace: 1h, wait: 1h}": 7 * _DAY_MS,
}
"""Label stanzas, and longer than any state rests on its inputs under them."""
_DETECTORS: Final = "\ndetectors: [{kind: labels}, {kind: adwin}, {kind: promise}]"
_RESET: Final = re.compile(r"(\w+)/(\d+) was reset to .* [Ss]et the group's offset .*?to (\d+)")
_MOST_BYTES: Final = 1 << 30
_LOGICS: Final[Mapping[str, Callable[[], Logic]]] = {
    JOIN.name: lambda: JoinLogic(PIPELINE, most_bytes=_MOST_BYTES),
    EVALUATE.name: lambda: EvaluateLogic(PIPELINE),
    DETECT.name: lambda: DetectLogic(PIPELINE),
}
_STATE: Final = {
    JOIN.name: "slabs/drift-join",
    EVALUATE.name: "checkpoints/drift-evaluate",
    DETECT.name: "checkpoints/drift-detect",
}


@dataclass
class Worker:
    """One process of one service, alive or dead."""

    service: str
    make: Callable[[], Turning]
    loop: Turning | None = None
    said: str = ""
    """The last error that ended it."""


class DriftPlay:
    """Two processes of each service, people who ask and tell, and trouble."""

    SECTIONS = _DETECTORS
    """Of the specification, behind the label stanza."""

    def __init__(self, seed: str) -> None:
        self.random = Random(seed)
        rows = self.random.choice([8, 40, 200])
        make = partial(MemoryPipeline, partitions=_PARTITIONS, names=NAMES, batch_rows=rows)
        pipeline = make(JOIN.name, references=JOIN.clues)
        others = {
            service.name: make(service.name, references=service.clues, beside=pipeline)
            for service in (EVALUATE, DETECT)
        }
        self.pipelines = {JOIN.name: pipeline} | others
        """One pipeline, as each service sees it."""
        self.cluster, self.clock, self.bus = pipeline.cluster, pipeline.clock, pipeline.bus
        window = self.random.choice(list(_WINDOWS))
        self.kept_ms = _WINDOWS[window]
        self.world = JoinWorld(self.bus, _PARTITIONS, window + self.SECTIONS)
        self.fixed = self.random.random() < 0.5
        self.expires = self.random.random() < 0.5
        """Inputs expire in this run. In others what was kept is lost: both together leave nothing to restore from."""
        self.publishes = self.random.random() < 0.5
        """Specifications change in this run. In others offsets are lost: nothing else tells under which one a row that
        is in no slab yet was read."""
        self.workers = [Worker(name, partial(self._started, name, slot)) for name in _LOGICS for slot in "01"]
        self.done = Counter[str]()
        self.trail: list[str] = []
        self.wrong = False
        """Whether answers are wrong now: the truth is the other class."""
        self._names: list[tuple[str, int]] = []
        self._revisions = Counter[str]()
        for number in range(3):  # the versions that JoinWorld's predictions name
            told = model(f"1.0.{number}").model_copy(update={"pipeline": PIPELINE})
            pipeline.tell("models", f"{PIPELINE}/1.0.{number}", told)

    def act(self) -> None:
        """One thing happens."""
        things = self.things()
        thing = self.random.choices(list(things), list(things.values()))[0]
        self._note(thing.__name__)
        thing()

    def things(self) -> dict[Callable[[], None], int]:
        """All that may happen, with their weights."""
        return {
            self.ask: 8,
            self.tell: 10,
            self.turn: 20,
            self.crash: 4,
            self.refuse: 2,
            self.close: 2,
            self.rebalance: 2,
            self.pass_time: 3,
            self.two_days: 1,
            self.publish if self.publishes else self.lose_offsets: 1,
            self.reset_offsets: 1,
            self.lose_values: 1,
            self.compact: 1,
            self.expire if self.expires else self.lose_state: 1,
            self.change: 1,
        }

    # What people do

    def ask(self) -> None:
        """Predictions, now and then one of an id that was asked before."""
        partition = self.random.randrange(_PARTITIONS)
        first = len(self._names)
        asked = [f"a-{first + at}" for at in range(self.random.choice([1, 5, 30]))]
        self._names += [(name, partition) for name in asked]
        again = [name for name, place in self._names[-200:] if place == partition][:1]
        self.world.ask(asked + (again if self.random.random() < 0.1 else []), partition)
        self.cluster.advance(self.random.choice([10, 1_000, 20_000]))

    def tell(self) -> None:
        """Labels of what was asked lately: the first, corrections, some of nobody, and some before the prediction."""
        self._tell(self.random.sample(self._names[-300:], min(len(self._names), self.random.choice([1, 10, 60]))))

    def _tell(self, about: list[tuple[str, int]]) -> None:
        strangers = [(f"b-{len(self._names)}", 0), (f"a-{len(self._names) + 1}", 0)]
        for partition in range(_PARTITIONS):
            names = [name for name, at in about + self.random.sample(strangers, 1) if at == partition]
            labels = []
            for name in names:
                self._revisions[name] += self.random.choice([0, 1])
                labels.append((name, self._revisions[name], self._truth(name)))
            if labels:
                self.world.tell(labels, partition)

    def _truth(self, name: str) -> str:
        right = self.random.random() < (0.1 if self.wrong else 0.95)
        return "ok" if right == (int(name.strip("ab-")) % 2 == 0) else "bad"

    def two_days(self) -> None:
        """All labels of two days come at once."""
        self.pass_time(2 * _DAY_MS)
        self._tell(self._names)

    def change(self) -> None:
        """The world is another one from now on."""
        self.wrong = not self.wrong

    def publish(self) -> None:
        """Another specification: other windows, which hold from then on."""
        windows = [window for window, kept_ms in _WINDOWS.items() if kept_ms <= self.kept_ms]
        self.world.publish(self.random.choice(windows) + self.SECTIONS)

    # What happens to processes

    def turn(self) -> None:
        """Everybody turns some times."""
        for _ in range(self.random.choice([1, 3, 10])):
            self.pass_time(300)
            for worker in self.workers:
                self.turn_one(worker)

    def turn_one(self, worker: Worker) -> None:
        """One turn of a process, which is started if it is dead."""
        try:
            worker.loop = worker.loop or worker.make()
            worker.loop.step(0.0)
        except SimulatedCrash:
            worker.loop = None
            self.done["deaths"] += 1
        except BusError as error:  # as its supervisor: close, and start it anew
            worker.said = str(error)
            loop, worker.loop = worker.loop, None
            if loop is not None:
                with suppress(BusError, SimulatedCrash):
                    loop.close()

    def _started(self, service: str, slot: str) -> DataLoop:
        return self.pipelines[service].loop(_LOGICS[service](), slot, fixed=self.fixed)

    def crash(self) -> None:
        """SIGKILL at some call of some process."""
        calls = self.random.randrange(1, _CALLS_OF_A_TURN)
        self.crash_one(self.random.choice(self.workers), calls)

    def crash_one(self, worker: Worker, calls: int) -> None:
        """SIGKILL at one of its next calls; half of the time the broker learns of it only later."""
        left = calls

        def interrupt(_client: str, _operation: str) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                self.cluster.before = None
                raise SimulatedCrash

        self.cluster.before = interrupt
        for _ in range(3):
            self.turn_one(worker)
        self.cluster.before = None
        if self.random.random() < 0.5:
            self._bury()

    def _bury(self) -> None:
        """Transactions and memberships that the dead left end."""
        self.pass_time(20_000)
        if not self.fixed:
            for pipeline in self.pipelines.values():
                self._expire_members(pipeline)

    def refuse(self) -> None:
        """The broker restarts: every commit that is under way is refused."""
        self.cluster.disconnect()

    def close(self) -> None:
        """A process leaves."""
        self._stop(self.random.choice(self.workers))

    def rebalance(self) -> None:
        """A process falls silent for longer than its session, or its group divides partitions anew in a collect."""
        members = self.pipelines[self.random.choice(list(_LOGICS))].group.members
        if members:
            how = self.random.choice([self.cluster.expire, self.cluster.rebalance_during_next_collect])
            how(self.random.choice(members))

    # What happens to the broker

    def pass_time(self, elapsed_ms: int = 0) -> None:
        """For machines and for the broker."""
        elapsed_ms = elapsed_ms or self.random.choice([1_000, 31_000, 5 * _MINUTE_MS, 30 * _MINUTE_MS])
        self.pipelines[JOIN.name].pass_time(elapsed_ms)

    def lose_offsets(self) -> None:
        """A service was away for longer than the broker keeps its offsets."""
        name = self._stopped_service()
        self.pipelines[name].group.lose_offsets()

    def reset_offsets(self) -> None:
        """An operator sets all inputs of a service to their beginnings with Kafka's own tool."""
        name = self._stopped_service()
        for role in _LOGICS[name]().reads:
            for number, span in self.bus.spans(role).items():
                self.pipelines[name].group.commit(At(NAMES.topic(role), number), Committed(span.low, ""))

    def lose_state(self) -> None:
        """Somebody deletes what a service has kept, whether it runs or not; the topic is made anew, empty.

        Not of the join where specifications change: only its slabs tell under which of them older rows were read.
        """
        kept = [name for name in _STATE if name != JOIN.name or not self.publishes]
        self.cluster.remake_topic(NAMES.topic(_STATE[self.random.choice(kept)]))

    def compact(self) -> None:
        """The log cleaner runs."""
        for name in (EVALUATE.name, DETECT.name):
            self.cluster.compact(NAMES.topic(_STATE[name]))

    def lose_values(self) -> None:
        """Feature vectors expire, though their labels have not come."""
        for number, span in self.bus.spans("features").items():
            self.cluster.truncate(NAMES.topic("features"), number, self.random.randint(span.low, span.end))

    def expire(self) -> None:
        """Retention takes predictions and labels that were read, and that no state rests on any more.

        Nothing of the day of the newest: a slab ends with its day, and topics are kept for longer than reach and a day.
        """
        read_ms = dict.fromkeys(range(_PARTITIONS), self.cluster.now_ms)
        logs = [(role, number, log) for role in JoinLogic.reads for number, log in self.bus.spans(role).items()]
        for role, number, _ in logs:
            read_ms[number] = min(read_ms[number], self._read_ms(role, number))
        for role, number, span in logs:
            since_ms = min(read_ms[number] - self.kept_ms, read_ms[number] // _DAY_MS * _DAY_MS)
            low = self.bus.offsets_at(role, since_ms).get(number, 0)
            if low > span.low:
                self.cluster.truncate(NAMES.topic(role), number, low)
                self.done["expired"] += 1

    def _read_ms(self, role: str, partition: int) -> int:
        """When the last record was written that the join has read; 0 if it has read none."""
        at = self._committed(JOIN.name, role).get(partition, Committed(0)).offset
        rows = [batch.records[row] for batch in self.pipelines[JOIN.name].read(role) for row in range(len(batch))]
        return max((r.timestamp()[1] for r in rows if r.partition() == partition and r.offset() < at), default=0)

    # The end

    def settle(self) -> None:
        """Nothing more happens: all is read. Raises AssertionError where somebody never gets there."""
        self._bury()
        for _ in range(_PATIENCE):
            self.pass_time(300)
            for worker in self.workers:
                self.turn_one(worker)
            self._do_as_told()
            if not self.unread():
                return
        waits = [worker.said if worker.loop is None else worker.loop.unready() for worker in self.workers]
        raise AssertionError(f"not everything is read although nothing more happens: {self.unread()}, {waits}")

    def _do_as_told(self) -> None:
        """Whoever set an offset back reads what the service says about it, stops the service, and does that."""
        for worker in self.workers:
            told = _RESET.search(worker.said)
            worker.said = ""
            if told is not None:
                name = worker.service
                for one in self._of(name):
                    self._stop(one)
                at = At(NAMES.topic(told[1]), int(told[2]))
                self.pipelines[name].group.commit(at, Committed(int(told[3]), ""))
                self.done["done as told"] += 1

    def judge(self) -> None:
        """`verify` finds no breach, and nothing unread. Raises AssertionError."""
        found = judge_drift(self.bus, PIPELINE, self._committed, patience=Patience(0.0), scores=10_000)
        broken = [finding for finding in found.findings if not finding.ok]
        assert not broken, broken
        assert not found.unread

    def unread(self) -> dict[str, int]:
        """How much somebody has still to do, by what it is."""
        found = {}
        for name, logic in _LOGICS.items():
            for role in logic().reads:
                for number, span in self.bus.spans(role).items():
                    at = self.pipelines[name].committed_at(role, number)
                    last = self.cluster.topic(NAMES.topic(role)).log(number).last_record() + 1
                    if last > span.low and (at is None or at.offset < last):
                        found[f"{name} {role}/{number}"] = last - (at.offset if at is not None else 0)
        return found

    def _committed(self, service: str, role: str) -> dict[int, Committed]:
        if service not in self.pipelines:
            return {}  # nobody runs it here
        at = {number: self.pipelines[service].committed_at(role, number) for number in self.bus.spans(role)}
        return {number: offset for number, offset in at.items() if offset is not None}

    def _stopped_service(self) -> str:
        """One of which no process is alive, as Kafka's tool wants it."""
        name = self.random.choice(list(_LOGICS))
        for worker in self._of(name):
            self._stop(worker)
        self._expire_members(self.pipelines[name])
        self._note(name)
        return name

    def _expire_members(self, pipeline: MemoryPipeline) -> None:
        for member in list(pipeline.group.members):
            self.cluster.expire(member)

    def _stop(self, worker: Worker) -> None:
        loop, worker.loop = worker.loop, None
        if loop is not None:
            with suppress(BusError):
                loop.close()

    def _of(self, name: str) -> list[Worker]:
        return [worker for worker in self.workers if worker.service == name]

    def _note(self, what: str) -> None:
        self.done[what] += 1
        self.trail.append(what)


def play_drift(seed: str, acts: int) -> Counter[str]:
    """See `play_through`, of drift alone."""
    return play_through(DriftPlay(seed), f"drift, seed {seed}", acts)


def play_through(play: DriftPlay, name: str, acts: int) -> Counter[str]:
    """Let so many things happen, and judge half way and at the end. Raises AssertionError, with what was done last."""
    try:
        for _ in range(2):
            for _ in range(acts // 2):
                play.act()
            play.settle()
            play.judge()
    except Exception as error:
        last = ", ".join(play.trail[-40:])
        raise AssertionError(f"{name}: {type(error).__name__}: {error}\nwhat was done last: {last}") from error
    return play.done
