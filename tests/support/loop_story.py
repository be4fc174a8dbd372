"""The topics of a loop that has closed twice, written by retraining itself: the ground for breaches."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final, TypeVar

import numpy as np

from freshet.avro.control import decode, encode
from freshet.contracts.batch import Headers
from freshet.contracts.messages import Alarm, Change, Message, ModelVersion, Rollout, Share
from freshet.contracts.topic_table import TopicNames
from freshet.operate.verify.retraining.training_judge import LoopJudgement, judge_retraining
from freshet.operate.verify.visible import Patience
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.protocol import Send
from freshet.runtime.reading import everything
from support.labelled import PARTITIONS, learnable, records_of
from support.loop_world import PIPELINE, LoopWorld
from support.retraining import alarm

MINUTE_MS: Final = 60_000
_SECTION: Final = """
rollout: {policy: gated}
retraining:
  trainer: {kind: logistic-regression}
  triggers: [{kind: alarm}, {kind: rows, every: 100000}]
  gate: [{metric: accuracy, not_worse_by: 0.05}, {metric: latency_ms, at_most: 1000}]
"""
_ROLES: Final = (
    *("pipelines", "outcomes", "alarms", "commands", "trainings"),
    *("artifacts", "candidates", "models", "rollouts"),
)

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Line:
    """One record of a topic."""

    role: str
    at_ms: int
    key: bytes | None
    value: bytes | None
    partition: int
    headers: Headers

    def at(self, at_ms: int) -> "Line":
        """The same at another time."""
        return replace(self, at_ms=at_ms)


@cache
def _lived() -> tuple[Line, ...]:
    """Two trainings, for an alarm and for a command, each of which has led to a rollout; and an alarm that none may."""
    asked_ms = MemoryCluster().now_ms + 10 * np.arange(1500)  # records are appended a second apart
    asked_ms[1000:] += 2 * MINUTE_MS + 12_000  # the last ones after a training and its rollout
    records = records_of(learnable(1500, predicted_ms=asked_ms, labelled_ms=asked_ms + 205))
    world = LoopWorld(*records[:10], section=_SECTION)
    owner = world.trainer()
    world.tell("alarms", PIPELINE, _alarm("a1", (100, 600)))
    world.run(owner)
    _roll_out(world, "1.0.0", 1)
    world.pass_time(2 * MINUTE_MS)
    world.write(*records[10:])
    world.ask("c1")
    world.run(owner)
    _roll_out(world, "1.1.0", 2)
    world.pass_time(2 * MINUTE_MS)
    world.tell("alarms", PIPELINE, _alarm("a2", (900, 1400), cause="own_rollout"))
    world.run(owner)
    owner.close()
    return tuple(sorted(_lines(world.bus), key=lambda line: line.at_ms))


def _alarm(name: str, test: tuple[int, int], **but: Any) -> Alarm:
    return alarm(name, test, pipeline=PIPELINE, **but)


def _roll_out(world: LoopWorld, version: str, epoch: int) -> None:
    """What the registry does with the newest candidate."""
    model = ModelVersion(
        pipeline=PIPELINE,
        version=version,
        state="admitted",
        reason="",
        manifest=world.candidates()[-1].manifest,
        history=(Change(at_ms=world.clock.now_ms(), what="admitted"),),
    )
    world.tell("models", f"{PIPELINE}/{version}", model)
    live = Rollout(
        pipeline=PIPELINE,
        epoch=epoch,
        phase="live",
        table=(Share(version=version, share=10_000),),
        salt=PIPELINE,
        resident=(version,),
        expected_previous=epoch - 1,
        cause="policy gated",
    )
    world.tell("rollouts", f"{PIPELINE}/{epoch}", live)


def _lines(bus: MemoryBus) -> Iterator[Line]:
    for role in _ROLES:
        for batch in everything(bus.of_pipeline(PIPELINE), role):
            for row, record in enumerate(batch.records):
                headers = record.headers() or []
                at = int(batch.partitions[row])
                yield Line(role, int(batch.timestamps_ms[row]), batch.keys[row], batch.values[row], at, headers)


class LoopStory:
    """The same records again, of which a test has changed some."""

    def __init__(self) -> None:
        self.lines = list(_lived())

    def of(self, role: str) -> list[int]:
        """The places of a topic's records, in their order."""
        return [at for at, line in enumerate(self.lines) if line.role == role]

    def message(self, role: str, nth: int) -> Any:
        """A topic's nth record."""
        return decode(role, self.lines[self.of(role)[nth]].value or b"")

    def change(self, role: str, nth: int, **fields: Any) -> None:
        """That record says something else."""
        at = self.of(role)[nth]
        changed = self.message(role, nth).model_copy(update=fields)
        self.lines[at] = replace(self.lines[at], value=encode(changed))

    def drop(self, role: str, nth: int) -> None:
        """That record is lost."""
        del self.lines[self.of(role)[nth]]

    def add(self, role: str, message: Message, at_ms: int | None = None, key: str = PIPELINE) -> None:
        """Another record, at that time or in the end."""
        last_ms = self.lines[-1].at_ms
        line = Line(role, last_ms if at_ms is None else at_ms, key.encode(), encode(message), 0, [])
        self.lines.append(line)
        self.lines.sort(key=lambda line: line.at_ms)

    def written(self) -> MemoryBus:
        """A cluster with all of it."""
        cluster = MemoryCluster(self.lines[0].at_ms)
        bus = MemoryBus(cluster, TopicNames("", ""))
        cluster.ensure(bus.of_pipeline(PIPELINE).names, PARTITIONS)
        producer = bus.of_pipeline(PIPELINE).producer()
        for line in self.lines:
            cluster.advance(line.at_ms - cluster.now_ms)
            producer.send(Send(line.role, [line.key], [line.value], [line.partition], [line.headers]))
        return bus.of_pipeline(PIPELINE)

    def judged(
        self, *, with_figures: bool = False, retention: Callable[[MemoryCluster], None] = lambda _: None
    ) -> LoopJudgement:
        """What `verify` says."""
        bus = self.written()
        retention(bus.cluster)
        return judge_retraining(bus, PIPELINE, with_figures=with_figures, patience=Patience(0.0))
