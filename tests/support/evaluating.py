"""A labelled log on a bus in memory, and processes that evaluate it."""

from collections.abc import Iterable

from freshet.avro.control import encode
from freshet.contracts.evaluation_message import Evaluation
from freshet.contracts.messages import Outcomes, PipelineRecord
from freshet.contracts.topic_table import TopicNames
from freshet.drift.core.evaluate import EvaluateLogic
from freshet.drift.service import EVALUATE
from freshet.runtime.data_loop import DataLoop
from freshet.testing import MemoryPipeline

NAMES = TopicNames("", "p")

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


class Evaluating(MemoryPipeline):
    """The log and what becomes of it."""

    def __init__(self) -> None:
        super().__init__(EVALUATE.name, partitions=1, references=EVALUATE.clues, names=NAMES, batch_rows=3)

    def apply(self, record: PipelineRecord) -> None:
        """Publish a number of the pipeline."""
        self.tell("pipelines", f"p/{record.number}", record)

    def log(self, records: Iterable[Outcomes]) -> None:
        """Append these to the labelled log."""
        self.raw(*map(encode, records))

    def raw(self, *values: bytes | None) -> None:
        """Append whatever it is to the labelled log."""
        self.send("outcomes", [b"0"] * len(values), values)

    def worker(self, slot: str = "0") -> DataLoop:
        """A new process; its batches have three records at most."""
        return self.loop(EvaluateLogic("p"), slot)

    def forget_offsets(self) -> None:
        """The broker forgets what the group had committed."""
        self.group.forget_offsets(NAMES.topic("outcomes"))

    def forget_checkpoints(self) -> None:
        """The state topic is empty again."""
        checkpoints = NAMES.topic(f"checkpoints/{EVALUATE.name}")
        self.cluster.truncate(checkpoints, 0, self.cluster.topic(checkpoints).log(0).last_stable_offset)

    def said(self) -> list[Evaluation]:
        """What a read_committed reader sees of the evaluations, in order; as a fold says it, without the topic."""
        found = self.messages("evaluations", Evaluation)
        return [record.model_copy(update={"outcomes_topic": ""}) for record in found]
