"""A labelled log on a bus in memory, and processes that evaluate it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from freshet.avro.control import decode, encode
from freshet.contracts.messages import Evaluation, Outcomes, PipelineRecord
from freshet.contracts.topics import TopicNames
from freshet.drift.core.evaluate import EvaluateLogic
from freshet.drift.service import EVALUATE
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.protocol import Send
from freshet.runtime.clock import ManualClock
from freshet.runtime.data_loop import DataLoop
from freshet.runtime.jobs import InlineJobs
from freshet.runtime.options import LoopOptions
from freshet.runtime.service import no_jobs
from freshet.runtime.telemetry import Metrics

NAMES = TopicNames("", "p")
SERVICE = "drift-evaluate"
_METRICS = Metrics()  # costs more to make than all else

SPEC = """
pipeline: p
entity: card
event_id: event_id
event_time: at
features:
  version: 1
  columns: [{{kind: field, of: a}}, {{kind: field, of: b}}]
target: {{classes: ['no', 'yes']}}
label: {{horizon: 1h}}
slices: [{slices}]
"""


def pipeline_record(number: int = 1, slices: str = "{name: big, feature: b, min: 0.5}") -> PipelineRecord:
    """What the log's pipeline is; features a and b."""
    spec = SPEC.format(slices=slices)
    return PipelineRecord(pipeline="p", number=number, spec=spec, event_schema="{}", event_schema_id=1)


@dataclass
class Evaluating:
    """The log and what becomes of it."""

    cluster: MemoryCluster = field(default_factory=MemoryCluster)
    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        roles = (
            "outcomes",
            "evaluations",
            "dead-letters",
            "cutovers",
            "pipelines",
            "workers",
            f"checkpoints/{SERVICE}",
        )
        self.cluster.ensure(NAMES, 1, roles)
        self.bus = MemoryBus(self.cluster, NAMES)
        self._producer = self.bus.producer()

    def apply(self, record: PipelineRecord) -> None:
        """Publish a number of the pipeline."""
        self._producer.send(Send("pipelines", [f"p/{record.number}".encode()], [encode(record)]))

    def log(self, records: Iterable[Outcomes]) -> None:
        """Append these to the labelled log."""
        self.raw(*map(encode, records))

    def raw(self, *values: bytes) -> None:
        """Append whatever it is to the labelled log."""
        self._producer.send(Send("outcomes", [b"0"] * len(values), list(values), [0] * len(values)))

    def worker(self, slot: str = "0") -> DataLoop:
        """A new process; its batches have three records at most."""
        return DataLoop(
            EvaluateLogic("p"),
            self.bus,
            NAMES,
            service=SERVICE,
            slot=slot,
            fixed_slot=True,
            jobs=InlineJobs(no_jobs),
            clock=self.clock,
            metrics=_METRICS,
            references=EVALUATE.clues,
            options=LoopOptions(batch_rows=3),
        )

    def turn(self, *loops: DataLoop, times: int = 40) -> None:
        """Let them turn, one after the other."""
        for _ in range(times):
            self.clock.advance(300)
            self.cluster.advance(300)
            for loop in loops:
                loop.step(0.0)

    def forget_offsets(self) -> None:
        """The broker forgets what the group had committed."""
        self.cluster.group(NAMES.group(SERVICE)).forget_offsets(NAMES.topic("outcomes"))

    def forget_checkpoints(self) -> None:
        """The state topic is empty again."""
        checkpoints = NAMES.topic(f"checkpoints/{SERVICE}")
        self.cluster.truncate(checkpoints, 0, self.cluster.topic(checkpoints).log(0).last_stable_offset)

    def said(self) -> list[Evaluation]:
        """What a read_committed reader sees of the evaluations, in order."""
        reader, found = self.bus.reader(["evaluations"]), list[Evaluation]()
        while not reader.caught_up():
            for batch in reader.read(1000, 0.0):
                for value in batch.values:
                    record = decode("evaluations", value or b"")
                    assert isinstance(record, Evaluation)
                    found.append(record)
        return found
