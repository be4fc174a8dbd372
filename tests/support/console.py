"""Control facts of a pipeline as the console reads them, in memory."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from freshet.console.core.aside import Letters, ReasonRow
from freshet.console.core.folded import Folded
from freshet.console.core.measured import GroupLag, Measurements, TopicEnds
from freshet.console.core.pipeline_screen import Beside, PipelineScreen, pipeline_screen
from freshet.console.training_lines import approval_of, training_lines
from freshet.contracts.beating_services import services_of_all, services_of_pipelines
from freshet.contracts.evaluation_message import Evaluation
from freshet.contracts.logic import Fact
from freshet.contracts.messages import (
    Alarm,
    Command,
    Cutover,
    Decision,
    Manifest,
    Message,
    ModelVersion,
    PartitionState,
    PipelineRecord,
    Rollout,
    Share,
    WorkerState,
)
from freshet.contracts.training_message import Training
from support.registry import candidate

PIPELINE: Final = "loans"
NOW_MS: Final = 1_790_000_000_000
MINUTE_MS: Final = 60_000
CLASSES: Final = ("approved", "declined")
SPEC: Final = """
pipeline: {pipeline}
entity: applicant
event_id: event_id
event_time: at
partitions: {partitions}
features: {{version: 1, columns: [{{kind: field, of: salary}}, {{kind: field, of: age}}]}}
target: {target}
rollout: {{policy: manual}}
"""
EVENT_SCHEMA: Final = """{"type": "record", "name": "E", "fields": [
  {"name": "event_id", "type": "string"}, {"name": "applicant", "type": "string"},
  {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
  {"name": "salary", "type": "double", "private": true}, {"name": "age", "type": "int"}]}"""


def manifest(name: str, pipeline: str = PIPELINE, **but: Any) -> Manifest:
    """A model's manifest."""
    return candidate(name).manifest.model_copy(update={"pipeline": pipeline, "classes": CLASSES} | but)


def evaluation(series: str, end_ms: int, right: int, rows: int = 250, **but: Any) -> Evaluation:
    """Rows of a series, so many of them right."""
    classes = but.pop("classes", CLASSES)
    confusion = np.zeros((len(classes), len(classes)), "<i8")
    if classes:
        confusion[0, 0], confusion[0, 1] = right, rows - right
    found: dict[str, Any] = {
        "pipeline": PIPELINE,
        "series": series,
        "view": "arrival",
        "first_row": end_ms // 1000,
        "rows": rows,
        "end_row": end_ms // 1000 + 250,
        "through": 1,
        "start_ms": end_ms - 1000,
        "end_ms": end_ms,
        "predictions": 0,
        "classes": classes,
        "confusion": confusion.tobytes(),
        "score_bins": np.zeros((2, 64), "<i8").tobytes(),
        "log_loss_sum": 1.0,
        "absolute_sum": 500.0,
        "squared_sum": 1200.0,
        "truth_sum": 10.0,
        "truth_squared_sum": 20.0,
        "versions": {},
        "epochs": (1,),
    }
    return Evaluation.model_validate(found | but)


def alarm(name: str, at_ms: int, **but: Any) -> Alarm:
    """An alarm that is sure of itself."""
    found: dict[str, Any] = {
        "id": name,
        "pipeline": PIPELINE,
        "detector": "adwin",
        "level": "detected",
        "params": {},
        "subject": "error of what is served",
        "statistic": 0.5,
        "threshold": 0.2,
        "effect": 0.5,
        "reference_from": 0,
        "reference_to": 9,
        "test_from": 9,
        "test_to": 19,
        "through": 3,
        "since": {"0": 120, "1": 90},
        "attribution": {},
        "epochs": (1,),
        "cause": "world",
        "state_from": 0,
        "episode": "e",
        "at_ms": at_ms,
        "text": "The error of what is served rose from 0.1 to 0.6 since row 9.",
    }
    return Alarm.model_validate(found | but)


def training(name: str, at_ms: int, **but: Any) -> Training:
    """A training that has finished."""
    found: dict[str, Any] = {
        "pipeline": PIPELINE,
        "training": name,
        "phase": "finished",
        "trigger": "alarm",
        "trigger_id": "a1",
        "reason": "",
        "specification": 1,
        "trainer": "hist-gradient-boosting",
        "params": {},
        "seed": 0,
        "code": "c",
        "environment": "e",
        "from_row": 0,
        "cut_row": 900,
        "end_row": 1000,
        "through": 9,
        "rows": 900,
        "trained_through_ms": at_ms - 10_000,
        "holdout_rows": 100,
        "classes": {},
        "data_digest": "d",
        "digest": "d",
        "champion": "1.0.0",
        "metrics": {},
        "gate": "pass",
        "clauses": ("accuracy 0.9 must be at least 0.8: pass",),
        "cpu_ms": 700,
        "at_ms": at_ms,
        "by": "",
    }
    return Training.model_validate(found | but)


@dataclass
class ConsoleWorld:
    """Facts in the order in which they are told; each goes to the fold at once."""

    now_ms: int = NOW_MS
    folded: Folded = field(default_factory=Folded)
    offset: int = 0
    measured: Measurements = field(default_factory=Measurements)

    def tell(self, role: str, key: str, message: Message | None, at_ms: int | None = None) -> None:
        """One control record."""
        self.offset += 1
        self.folded.fold(Fact(role, key, message, self.now_ms if at_ms is None else at_ms, self.offset))

    def apply(self, partitions: int = 2, target: str = "{classes: [approved, declined]}", name: str = PIPELINE) -> None:
        """Publish the pipeline."""
        spec = SPEC.format(pipeline=name, partitions=partitions, target=target)
        record = PipelineRecord(pipeline=name, number=1, spec=spec, event_schema=EVENT_SCHEMA, event_schema_id=1)
        self.tell("pipelines", f"{name}/1", record)

    def admit(self, version: str, **but: Any) -> None:
        """A version is admitted; further words go into its manifest."""
        found = ModelVersion(
            pipeline=PIPELINE, version=version, state="admitted", reason="good", manifest=manifest(version, **but)
        )
        self.tell("models", f"{PIPELINE}/{version}", found)

    def live(self, epoch: int, version: str, at_ms: int | None = None, **but: Any) -> None:
        """An epoch goes live; `others` maps challengers to their shares."""
        others: dict[str, int] = but.pop("others", {})
        shares = {version: 10_000 - sum(others.values())} | others
        table = tuple(Share(version=name, share=share) for name, share in shares.items())
        fields: dict[str, Any] = {"pipeline": PIPELINE, "epoch": epoch, "phase": "live", "table": table, "salt": "s"}
        self.tell("rollouts", f"{PIPELINE}/{epoch}", Rollout.model_validate(fields | {"cause": "promote"} | but), at_ms)

    def beat(self, service: str, slot: str = "0", age_ms: int = 0, **but: Any) -> None:
        """A worker's state, so long ago."""
        pipeline = "" if service in services_of_all() else PIPELINE
        name = "/".join(filter(None, (service, pipeline, slot)))
        fields: dict[str, Any] = {"instance": name, "service": service, "pipeline": pipeline, "interval_ms": 3000}
        held = but.pop("held", "")
        states = tuple(
            PartitionState(partition=number, epoch=1, fallback=0, held=held if number == 0 else "") for number in (0, 1)
        )
        found = fields | {"partitions": states, "live_epoch": 1, "memory_bytes": 90_000_000} | but
        self.tell("workers", name, WorkerState.model_validate(found), self.now_ms - age_ms)

    def run_all(self, **but: Any) -> None:
        """Every service beats."""
        for service in (*services_of_pipelines(), *services_of_all()):
            self.beat(service, **but)

    def cut(self, epoch: int, partition: int, at_ms: int | None = None) -> None:
        """A partition is answered under an epoch from some offset on."""
        fields: dict[str, Any] = {"pipeline": PIPELINE, "lane": "serve", "topic_id": "t", "partition": partition}
        told = Cutover(**fields, first_offset=100 * epoch, epoch=epoch, fallback=0, cause="epoch")
        self.tell("cutovers", f"{PIPELINE}/serve/t/{partition}/{100 * epoch}", told, at_ms)

    def ask(self, action: str, command_id: str, age_ms: int) -> None:
        """A command of an operator."""
        at_ms = self.now_ms - age_ms
        fields: dict[str, Any] = {"command_id": command_id, "pipeline": PIPELINE, "action": action, "by": "me@here"}
        self.tell("commands", PIPELINE, Command.model_validate(fields | {"expires_at_ms": at_ms + 300_000}), at_ms)

    def decide(self, command_id: str, verdict: str = "done", reason: str = "as you wish") -> None:
        """The registry's answer."""
        fields: dict[str, Any] = {"pipeline": PIPELINE, "about": "command", "subject": command_id, "reason": reason}
        self.tell("decisions", PIPELINE, Decision.model_validate(fields | {"verdict": verdict}))

    def measure(self, waiting: Iterable[float] = (0.0, 0.0), rate: float = 40.0) -> None:
        """What Kafka says: how long the oldest record of each partition has waited, and how much comes."""
        seconds = dict(enumerate(waiting))
        records = {at: 3 if value else 0 for at, value in seconds.items()}
        oldest = {at: 500 for at, value in seconds.items() if value}
        lag = GroupLag(self.now_ms, records, seconds, oldest, True)
        hops = (
            ("ingestion", "events"),
            ("ingestion", "feedback"),
            ("inference", "features"),
            ("drift-join", "predictions"),
        )
        self.measured.take_lags(self.now_ms, dict.fromkeys(hops, lag), max(seconds.values()), ())
        for role in ("events", "features", "predictions"):
            ends = self.measured.ends.setdefault(role, TopicEnds())
            ends.take(self.now_ms - 10_000, {0: 0})
            ends.take(self.now_ms, {0: round(10 * rate)})

    def screen(self, letters: Letters | None = None) -> PipelineScreen:
        """The page of the pipeline now."""
        runs, approval = training_lines(self.folded, PIPELINE), approval_of(self.folded, PIPELINE)
        return pipeline_screen(self.folded, PIPELINE, Beside(self.measured, runs, letters, approval), "", self.now_ms)


def flowing_world() -> ConsoleWorld:
    """A pipeline that answers, as promised."""
    world = ConsoleWorld()
    world.apply()
    world.admit("1.0.0", metrics={"accuracy": 0.9})
    world.live(1, "1.0.0", NOW_MS - 10 * MINUTE_MS)
    world.cut(1, 0)
    world.cut(1, 1)
    world.run_all()
    world.measure()
    for minute in range(8, 0, -1):
        world.tell("evaluations", PIPELINE, evaluation("served", NOW_MS - minute * MINUTE_MS, 228))
        world.tell("evaluations", PIPELINE, evaluation("version:1.0.0", NOW_MS - minute * MINUTE_MS, 228))
        world.tell("evaluations", PIPELINE, evaluation("baseline:majority", NOW_MS - minute * MINUTE_MS, 150))
    return world


def some_letters(reason: str = "input_range") -> Letters:
    """A dozen dead letters of one reason."""
    row = ReasonRow(reason, 12, 1, NOW_MS - 5 * MINUTE_MS, NOW_MS - MINUTE_MS, (0,) * 35 + (12,), "1/7")
    return Letters(NOW_MS, (row,), 0, False)
