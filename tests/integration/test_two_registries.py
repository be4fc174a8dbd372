"""Two registries overlap on a real Kafka, as in a rolling update: one number has one content, whoever is slow."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from freshet.avro.control import encode
from freshet.contracts.logic import Job
from freshet.contracts.messages import Action, Command, Decision, Rollout
from freshet.contracts.topic_table import TopicNames
from freshet.registry.admitting import admit_candidate
from freshet.registry.core.admission_job import Admit
from freshet.registry.core.decider import RegistryDecider
from freshet.runtime import failpoints
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.bus.protocol import SUSPECT_S, FatalError, Send
from freshet.runtime.clock import SystemClock
from freshet.runtime.feed import Feed
from freshet.runtime.jobs import InlineJobs, Runner, Stop
from freshet.runtime.owner_loop import OwnerLoop
from freshet.runtime.provision import provision
from freshet.runtime.telemetry import Metrics
from support.faults import until
from support.registry import PIPELINE, Judgement, candidate, specification

pytestmark = pytest.mark.kafka


@dataclass
class Stage:
    """The control topics of a namespace, and what people write there."""

    bus: KafkaBus

    def send(self, role: str, value: bytes, key: bytes = b"k") -> None:
        """Append one record."""
        self.bus.producer().send(Send(role, [key], [value]))

    def command(self, name: str, action: Action, version: str, text: str = "", pipeline: str = PIPELINE) -> None:
        """An operator asks."""
        command = Command(
            command_id=name, pipeline=pipeline, action=action, version=version, text=text, expires_at_ms=2**50, by="t"
        )
        self.send("commands", encode(command))

    @contextmanager
    def registry(self, run: Runner = lambda *_: Judgement()) -> Iterator[OwnerLoop]:
        """A registry that finds every candidate good, or judges it like this."""
        loop = OwnerLoop(
            RegistryDecider(),
            self.bus,
            self.bus.names,
            service="registry",
            jobs=InlineJobs(run),
            clock=SystemClock(),
            metrics=Metrics(),
        )
        with closing(loop):
            yield loop

    def live(self) -> dict[int, list[str]]:
        """By epoch: the versions under which it ever went live."""
        found: dict[int, list[str]] = {}
        for message in self._all("rollouts"):
            if isinstance(message, Rollout) and message.phase == "live":
                found.setdefault(message.epoch, []).append(message.table[0].version)
        return found

    def answers(self) -> dict[str, list[str]]:
        """By command: every verdict it got."""
        found: dict[str, list[str]] = {}
        for message in self._all("decisions"):
            if isinstance(message, Decision) and message.about == "command":
                found.setdefault(message.subject, []).append(message.verdict)
        return found

    def versions(self) -> int:
        """How many candidates are admitted."""
        return len(self._all("models"))

    def _all(self, role: str) -> list[object]:
        feed = Feed(self.bus.reader([role]))
        found: list[object] = []
        while not feed.caught_up():
            found += [fact.message for fact in feed.facts(0.1)]
        feed.close()
        return found


@pytest.fixture
def stage(kafka: str, namespace: str) -> Iterator[Stage]:
    """Three candidates of one pipeline."""
    names, admin = TopicNames(namespace, ""), KafkaAdmin(kafka)
    provision(admin, namespace, [])
    stage = Stage(KafkaBus(kafka, names))
    stage.send("pipelines", encode(specification()))
    for name in ("a", "b", "c"):
        stage.send("candidates", encode(candidate(name)), name.encode())
    yield stage
    admin.delete([topic for topic in admin.names() if topic.startswith(namespace)])


def turn(loop: OwnerLoop, holds: Callable[[], bool]) -> None:
    """Let the registry turn until it holds."""

    def turned() -> bool:
        loop.step(0.1)
        return holds()

    until("the registry to decide", turned)


def test_a_slow_registry_does_not_decide_again_what_its_successor_has_decided(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a slow commit of the old one a new one takes over: the old one ends when it next wants to decide."""

    def stall(step: str) -> None:
        if step == "begun":
            time.sleep(SUSPECT_S + 0.1)

    with stage.registry() as old, stage.registry() as new:
        turn(old, lambda: stage.versions() == 3)
        stage.command("c1", "promote", "1.0.0")
        turn(old, lambda: "c1" in stage.answers())
        monkeypatch.setattr(
            failpoints, "reached", lambda step: time.sleep(SUSPECT_S + 0.1) if step == "begun" else None
        )
        stage.command("c2", "annotate", "1.0.0", "a note")
        turn(old, lambda: "c2" in stage.answers())
        monkeypatch.undo()

        stage.command("c3", "promote", "1.1.0")
        turn(new, lambda: "c3" in stage.answers())
        stage.command("c4", "promote", "1.2.0")
        with pytest.raises(FatalError, match="start anew"):
            turn(old, lambda: False)
        turn(new, lambda: "c4" in stage.answers())
    assert stage.live() == {1: ["1.0.0"], 2: ["1.1.0"], 3: ["1.2.0"]}
    assert stage.answers() == {name: ["done"] for name in ("c1", "c2", "c3", "c4")}


def test_an_answer_that_is_too_large_is_refused_in_short(stage: Stage) -> None:
    """The same registry goes on with the next command: an oversize record costs it neither its id nor its process."""
    with stage.registry() as registry:
        turn(registry, lambda: stage.versions() == 3)
        stage.command("c1", "annotate", "1.0.0", "n" * 600_000)
        stage.command("c2", "annotate", "1.0.0", "n" * 600_000)
        stage.command("c3", "promote", "1.0.0")
        turn(registry, lambda: "c3" in stage.answers())
    assert stage.live() == {1: ["1.0.0"]}
    assert set(stage.answers()) == {"c1", "c2", "c3"}


def test_a_refusal_larger_than_its_topic_stops_no_pipeline(stage: Stage) -> None:
    """Half a megabyte of unknown features, named twice beside its manifest, is more than the models topic takes."""

    def run(job: Job[Any], stop: Stop) -> object:
        assert isinstance(job, Admit)
        return admit_candidate(job, stage.bus, stop)

    unknown = tuple(f"no-such-feature-{at:08}-{'x' * 30}" for at in range(9_000))
    stage.send("pipelines", encode(specification(pipeline="other")), b"other")
    stage.send("candidates", encode(candidate("poison", inputs=unknown)), b"poison")
    stage.command("c1", "pause", "", pipeline="other")
    with stage.registry(run) as registry:
        turn(registry, lambda: stage.versions() == 4 and "c1" in stage.answers())
    assert stage.answers() == {"c1": ["done"]}
