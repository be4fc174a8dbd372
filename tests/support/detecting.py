"""A pipeline's labelled log on a bus in memory, and processes that run its detectors."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from freshet.avro.control import decode, encode
from freshet.contracts.messages import Alarm, Message
from freshet.contracts.topics import TopicNames
from freshet.detectors.observing import LogRecord
from freshet.drift.core.detect import DetectLogic
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.protocol import Send
from freshet.runtime.clock import ManualClock
from freshet.runtime.data_loop import DataLoop
from freshet.runtime.jobs import InlineJobs
from freshet.runtime.options import LoopOptions
from freshet.runtime.service import no_jobs
from freshet.runtime.telemetry import Metrics
from support.inference import model, specification
from support.labelled_log import PIPELINE

SERVICE = "drift-detect"
KEPT = f"checkpoints/{SERVICE}"
NAMES = TopicNames("", PIPELINE)
_METRICS = Metrics()  # costs more to make than all else


@dataclass
class Detecting:
    """The log and what is known beside it."""

    cluster: MemoryCluster = field(default_factory=MemoryCluster)
    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        roles = ("outcomes", "alarms", "dead-letters", "cutovers", "pipelines", "models", "workers", KEPT)
        self.cluster.ensure(NAMES, 1, roles)
        self.bus = MemoryBus(self.cluster, NAMES)
        self._producer = self.bus.producer()

    def publish(self, detectors: str = "", number: int = 1) -> None:
        """A specification, with this section."""
        record = specification(number=number)
        spec = record.spec + (f"detectors: {detectors}\n" if detectors else "")
        self.tell("pipelines", f"{PIPELINE}/{number}", record.model_copy(update={"spec": spec}))

    def admit(self, version: str, **metrics: float) -> None:
        """A model version that was published with these metrics."""
        admitted = model(version)
        promised = admitted.manifest.model_copy(update={"metrics": metrics})
        self.tell("models", f"{PIPELINE}/{version}", admitted.model_copy(update={"manifest": promised}))

    def feed(self, records: Sequence[LogRecord]) -> None:
        """Append these."""
        values = [encode(one.record) for one in records]
        self._producer.send(Send("outcomes", [b"0"] * len(values), values, [0] * len(values)))

    def worker(self) -> DataLoop:
        """A new process: an ordinary loop runs it."""
        return DataLoop(
            DetectLogic(PIPELINE),
            self.bus,
            NAMES,
            service=SERVICE,
            slot="0",
            fixed_slot=True,
            jobs=InlineJobs(no_jobs),
            clock=self.clock,
            metrics=_METRICS,
            options=LoopOptions(),
        )

    def turn(self, *loops: DataLoop, times: int = 12) -> None:
        """Let them turn, one after the other."""
        for _ in range(times):
            self.clock.advance(300)
            self.cluster.advance(300)
            for loop in loops:
                loop.step(0.0)

    def alarms(self) -> list[Alarm]:
        """What a read_committed reader sees."""
        reader, found = self.bus.reader(["alarms"]), list[Alarm]()
        while not reader.caught_up():
            for batch in reader.read(1000, 0.0):
                for value in batch.values:
                    alarm = decode("alarms", value or b"")
                    assert isinstance(alarm, Alarm)
                    found.append(alarm)
        return found

    def tell(self, role: str, key: str, message: Message) -> None:
        """Append a control record."""
        self._producer.send(Send(role, [key.encode()], [encode(message)], [0]))
