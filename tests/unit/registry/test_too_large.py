"""Answers that are larger than their topic takes: the registry in its real loop, on a bus in memory."""

from freshet.contracts.control import encode
from freshet.contracts.messages import Action, Command, Decision
from freshet.contracts.topics import TopicNames
from freshet.registry.core.decider import RegistryDecider
from freshet.runtime.bus import Send
from freshet.runtime.clock import ManualClock
from freshet.runtime.decider_loop import DeciderLoop
from freshet.runtime.feed import Feed
from freshet.runtime.jobs import InlineJobs
from freshet.runtime.memory import MemoryBus, MemoryCluster
from freshet.runtime.telemetry import Metrics
from support.registry import PIPELINE, Judgement, candidate, specification

NAMES = TopicNames("", "")
BIG = 600_000


class Stand:
    """Two pipelines, `fraud` and `wind`, and a registry whose admissions give the verdict of the test."""

    def __init__(self, judgement: Judgement) -> None:
        self.clock, cluster = ManualClock(), MemoryCluster()
        cluster.ensure(TopicNames("", PIPELINE), 1)
        self.bus = MemoryBus(cluster, NAMES)
        self.loop = DeciderLoop(
            RegistryDecider(),
            self.bus,
            NAMES,
            service="registry",
            jobs=InlineJobs(lambda _: judgement),
            clock=self.clock,
            metrics=Metrics(),
        )
        for name in (PIPELINE, "wind"):
            self.send("pipelines", encode(specification(pipeline=name)))
        self.send("candidates", encode(candidate("m")))

    def send(self, role: str, value: bytes) -> None:
        """Append one record."""
        self.bus.producer().send(Send(role, [b"k"], [value]))

    def ask(self, name: str, action: Action, pipeline: str = PIPELINE, text: str = "") -> None:
        """A command for version 1.0.0."""
        command = Command(
            command_id=name, pipeline=pipeline, action=action, version="1.0.0", text=text, expires_at_ms=2**50, by="t"
        )
        self.send("commands", encode(command))

    def verdicts(self) -> dict[str, list[str]]:
        """By subject, after half an hour of turns: all decisions on it."""
        for _ in range(40):
            self.clock.advance(45_000)
            self.loop.step(0.0)
        found: dict[str, list[str]] = {}
        feed = Feed(self.bus.reader(["decisions"]))
        while not feed.caught_up():
            for fact in feed.facts():
                if isinstance(fact.message, Decision):
                    found.setdefault(fact.message.subject, []).append(fact.message.verdict)
        return found


def test_a_candidate_whose_refusal_is_too_large_is_refused_in_short() -> None:
    """Its models record holds the reason twice; the decision alone ends it, and other pipelines never wait."""
    stand = Stand(Judgement(admitted=False, reason="manifest_invalid", detail="x" * BIG))
    stand.ask("c1", "pause", "wind")
    digest = candidate("m").manifest.digest
    assert stand.verdicts() == {"c1": ["done"], digest: ["refused"]}
    assert stand.verdicts() == {"c1": ["done"], digest: ["refused"]}, "it is not judged again"


def test_a_command_whose_effect_is_too_large_is_refused_in_short() -> None:
    """Two long notes on one version: the second does not fit beside the first, and what follows goes on."""
    stand = Stand(Judgement())
    assert list(stand.verdicts().values()) == [["done"]]
    for name in ("c1", "c2"):
        stand.ask(name, "annotate", text="n" * BIG)
    stand.ask("c3", "pause")
    found = stand.verdicts()
    assert (found["c2"], found["c3"]) == (["refused"], ["done"])
