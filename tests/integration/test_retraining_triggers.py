"""What leads to a training without drift, on a real Kafka: age, a time of day, a budget; and who has to approve."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, Final

import pytest

from freshet.avro.control import decode, encode
from freshet.contracts.messages import Action, Command, Message, ModelVersion, PipelineRecord, Rollout
from freshet.contracts.topic_table import TopicNames
from freshet.contracts.training_message import Training
from freshet.registry.core.decider import RegistryDecider
from freshet.retraining import service
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.bus.protocol import Send
from freshet.runtime.clock import SystemClock
from freshet.runtime.jobs import InlineJobs, Runner
from freshet.runtime.owner_loop import OwnerLoop
from freshet.runtime.provision import provision
from freshet.runtime.reading import everything
from freshet.runtime.service import Context
from freshet.runtime.settings import load_settings
from freshet.runtime.telemetry import Metrics
from support.labelled import PARTITIONS, learnable, records_of, spec_text
from support.registry import Judgement

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

_PIPELINE: Final = "p"
_PATIENCE_S: Final = 90.0
_DAY_MS: Final = 86_400_000
_AGE: Final = """
retraining:
  trainer: {kind: logistic-regression}
  triggers: [{kind: age, after: 2s}]
  most_per_day: 1
"""
_SCHEDULE: Final = """
rollout: {{policy: gated}}
retraining:
  trainer: {{kind: logistic-regression}}
  triggers: [{{kind: schedule, at: "{at}"}}]
  gate: [{{metric: accuracy, at_least: 0.5}}]
  approval: required
"""


class Stage:
    """A pipeline with a labelled log, an owner of retraining and a registry, which turn in this thread."""

    def __init__(self, kafka: str, namespace: str) -> None:
        provision(KafkaAdmin(kafka), namespace, [(_PIPELINE, PARTITIONS)])
        self.bus = KafkaBus(kafka, TopicNames(namespace, ""))
        self.log = iter(records_of(learnable(2000)))
        self.producer = self.bus.of_pipeline(_PIPELINE).producer()
        context = Context(self.bus.names, load_settings(kafka), self.bus)
        self.clock = SystemClock()
        self.owners = [
            self._owner("retraining", service.SERVICE.decider(context), service.SERVICE.runner(context)),
            self._owner("registry", RegistryDecider(), lambda *_: Judgement()),
        ]

    def _owner(self, name: str, decider: Any, run: Runner) -> OwnerLoop:
        return OwnerLoop(
            decider,
            self.bus,
            self.bus.names,
            service=name,
            jobs=InlineJobs(run),
            clock=self.clock,
            metrics=Metrics(),
        )

    def close(self) -> None:
        """Free all clients."""
        for owner in self.owners:
            owner.close()
        self.producer.close()

    def say(self, role: str, key: str, message: Message) -> None:
        """Somebody writes a record."""
        self.producer.send(Send(role, [key.encode()], [encode(message)]))

    def label(self, count: int) -> None:
        """So many records of the labelled log."""
        for _ in range(count):
            self.producer.send(Send("outcomes", [b"0"], [encode(next(self.log))]))

    def apply(self, section: str, number: int) -> None:
        """`freshet apply`."""
        text = spec_text() + section
        record = PipelineRecord(pipeline=_PIPELINE, number=number, spec=text, event_schema="{}", event_schema_id=1)
        self.say("pipelines", f"{_PIPELINE}/{number}", record)

    def ask(self, name: str, action: Action, version: str = "") -> None:
        """`freshet retrain`, or promote."""
        asked = Command(
            command_id=name, pipeline=_PIPELINE, action=action, version=version, expires_at_ms=2**50, by="ann@host"
        )
        self.say("commands", _PIPELINE, asked)

    def told(self, role: str) -> Iterator[Message]:
        """All that stands on a control topic."""
        for batch in everything(self.bus, role):
            yield from (decode(role, value) for value in batch.values if value is not None)

    def until(self, holds: Callable[[], bool]) -> None:
        """Turn until it holds."""
        deadline = time.monotonic() + _PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline, list(self.told("trainings"))
            for owner in self.owners:
                owner.step(0.05)

    def ended(self, trigger: str, phase: str) -> list[Training]:
        """What became so of the occasions of one kind."""
        found = [record for record in self.told("trainings") if isinstance(record, Training)]
        return [record for record in found if (record.trigger, record.phase) == (trigger, phase)]

    def live(self) -> list[str]:
        """The versions that ever answered."""
        found = [record for record in self.told("rollouts") if isinstance(record, Rollout) and record.phase == "live"]
        return [record.table[0].version for record in found]

    def waiting(self) -> set[str]:
        """The versions of which the registry says that a person has to approve of them."""
        found = [record for record in self.told("models") if isinstance(record, ModelVersion)]
        return {one.version for one in found if any("waits for approval" in line.what for line in one.history)}


@pytest.mark.faults
def test_age_a_budget_a_time_of_day_and_an_approval(kafka: str, namespace: str) -> None:
    """Old rows give no second model; new ones do, until the day's budget is spent; then a time of day, and a person."""
    with closing(Stage(kafka, namespace)) as here:
        here.apply(_AGE, 1)
        here.label(5)
        here.ask("c1", "retrain")
        here.until(lambda: bool(here.ended("command", "finished")))

        here.until(lambda: bool(here.ended("age", "skipped")))
        assert "has learned from the same rows in the same way" in here.ended("age", "skipped")[0].reason
        here.label(5)
        here.until(lambda: bool(here.ended("age", "finished")))
        here.label(5)
        here.until(lambda: "most_per_day" in here.ended("age", "skipped")[-1].reason)
        (aged,) = here.ended("age", "finished")
        assert (aged.end_row, aged.by) == (1000, "")

        now_ms = here.clock.now_ms()
        minute = now_ms // 60_000 + 1  # at most a minute away
        here.apply(_SCHEDULE.format(at=time.strftime("%H:%M", time.gmtime(60 * minute))), 2)
        here.until(lambda: bool(here.ended("schedule", "finished")))
        (scheduled,) = here.ended("schedule", "finished")
        assert int(scheduled.trigger_id) == 60_000 * minute
        assert scheduled.gate == "pass"

        here.until(lambda: bool(here.waiting()))
        (version,) = here.waiting()
        assert version not in here.live()
        here.ask("c2", "promote", version)
        here.until(lambda: version in here.live())
