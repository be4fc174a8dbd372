"""A pipeline's labelled log in memory, and processes that run its detectors."""

from collections.abc import Sequence

from freshet.avro.control import encode
from freshet.contracts.messages import Alarm
from freshet.contracts.topic_table import TopicNames
from freshet.detectors.observing import LogRecord
from freshet.drift.core.detect import DetectLogic
from freshet.drift.service import DETECT
from freshet.runtime.data_loop import DataLoop
from freshet.testing import MemoryPipeline
from support.inference import model, specification
from support.labelled_log import PIPELINE

KEPT = f"checkpoints/{DETECT.name}"
NAMES = TopicNames("", PIPELINE)


class Detecting(MemoryPipeline):
    """The log and what is known beside it."""

    def __init__(self) -> None:
        super().__init__(DETECT.name, partitions=1, references=DETECT.clues, names=NAMES, batch_rows=5000)

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
        self.raw(*(encode(one.record) for one in records))

    def raw(self, *values: bytes | None) -> None:
        """Append whatever it is to the labelled log."""
        self.send("outcomes", [b"0"] * len(values), values)

    def worker(self) -> DataLoop:
        """A new process: an ordinary loop runs it."""
        return self.loop(DetectLogic(PIPELINE))

    def alarms(self) -> list[Alarm]:
        """What a read_committed reader sees."""
        return self.messages("alarms", Alarm)
