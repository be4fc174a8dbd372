"""Records whose answer could be larger than its topic takes: each is answered, shortly, and no pipeline waits."""

from typing import Any

from freshet.avro.control import encode
from freshet.contracts.logic import Job
from freshet.contracts.messages import Action, Candidate, Command, Decision, Golden, Manifest, ModelVersion
from freshet.contracts.topic_table import TopicNames
from freshet.registry.admitting import admit_candidate
from freshet.registry.core.admission_job import Admit
from freshet.registry.core.decider import RegistryDecider
from freshet.runtime.feed import Feed
from freshet.runtime.jobs import Stop
from freshet.testing import MemoryPipeline
from support.registry import PIPELINE, Judgement, candidate, specification

TOPIC_BYTES = 1_048_588
LONG = 10**13


class Registry(MemoryPipeline):
    """A registry on a cluster in memory, whose topics take as much as real ones; two pipelines are applied."""

    def __init__(self, *, judges: bool = False) -> None:
        super().__init__("registry", partitions=1, names=TopicNames("", PIPELINE))
        self.registry = self.owner(RegistryDecider(), jobs=self._judged if judges else lambda _job, _stop: Judgement())
        for name in (PIPELINE, "other"):
            self.tell("pipelines", f"{name}/1", specification(pipeline=name))

    def _judged(self, job: Job[Any], stop: Stop) -> object:
        assert isinstance(job, Admit)
        return admit_candidate(job, self.bus, stop)

    def decide(self, turns: int = 60, ms: int = 1_000) -> None:
        """Let it decide for a while."""
        self.turn(self.registry, times=turns, step_ms=ms)

    def publish(self, manifest: Manifest) -> None:
        """A candidate as large as its record may be."""
        self.tell("candidates", "x", Candidate(manifest=manifest))

    def command(
        self, name: str, action: Action, *, pipeline: str = "other", version: str = "", text: str = "", by: str = "t"
    ) -> None:
        """An operator asks."""
        asked = Command(
            command_id=name,
            pipeline=pipeline,
            action=action,
            version=version,
            text=text,
            expires_at_ms=LONG,
            by=by,
        )
        self.tell("commands", "", asked)

    def decisions(self) -> dict[str, Decision]:
        """By subject."""
        told = self.messages("decisions", Decision)
        found = {decision.subject: decision for decision in told}
        assert len(found) == len(told), "answered twice"
        return found

    def models(self) -> list[ModelVersion]:
        """All models records."""
        feed = Feed(self.bus.reader(["models"]))
        return [fact.message for fact in feed.facts() if isinstance(fact.message, ModelVersion)]


def stuffed(size_bytes: int, inputs: tuple[str, ...] = ("amount",)) -> Manifest:
    """A manifest of so many bytes, or with these inputs."""
    return Manifest(
        pipeline=PIPELINE,
        digest="a" * 64,
        size_bytes=1 << 20,
        chunk_bytes=1 << 20,
        chunk_digests=("b" * 64,),
        inputs=inputs,
        classes=("legit", "fraud"),
        input_name="x",
        output_name="y",
        opset=17,
        golden=Golden(rows=1, features=b"\0" * size_bytes, scores=b""),
        trainer="t",
    )


def test_refusal_that_would_name_thousands_names_five() -> None:
    """9,000 features that do not exist: the first five, and how many more, at every place where the reason stands."""
    registry = Registry(judges=True)
    registry.publish(stuffed(0, tuple(f"no-such-feature-{i:08}-{'x' * 30}" for i in range(9_000))))
    registry.decide()
    registry.command("c1", "pause")
    registry.decide()
    refused = registry.decisions()["a" * 64]
    assert (refused.verdict, registry.decisions()["c1"].verdict) == ("refused", "done")
    assert "and 8995 more" in refused.reason
    assert len(encode(registry.models()[0])) < 600_000


def test_candidate_as_large_as_its_record_is_refused_without_its_manifest() -> None:
    """Beside its manifest there is no room for a reason; what names it is enough, and it is judged once."""
    registry = Registry(judges=True)
    registry.publish(stuffed(TOPIC_BYTES - 600))
    registry.decide()
    registry.command("c1", "pause")
    registry.decide()
    assert {registry.decisions()["a" * 64].verdict, registry.decisions()["c1"].verdict} == {"refused", "done"}
    (record,) = registry.models()
    assert (record.state, record.manifest.digest, record.manifest.golden.features) == ("refused", "a" * 64, b"")


def test_command_as_large_as_its_record_is_answered() -> None:
    """What its answer repeats of it is cut; a name that was cut still is one name."""
    registry = Registry()
    registry.command("c1", "pause", by="o" * (TOPIC_BYTES - 400))
    registry.command("x" * 500_000, "resume")
    registry.command("x" * 500_000 + "y", "pause")
    registry.decide()
    found = registry.decisions()
    assert len(found) == 3
    assert {decision.verdict for decision in found.values()} == {"done"}
    assert all(len(encode(decision)) < 10_000 for decision in found.values())


def test_history_keeps_within_its_record_however_much_is_noted() -> None:
    """The number of lines stays, the oldest texts go; each note is answered."""
    registry = Registry()
    registry.publish(candidate("m").manifest)
    registry.decide()
    for note in range(200):
        registry.command(
            f"c{note}", "annotate", pipeline=PIPELINE, version="1.0.0", text="n" * 600_000 * (note < 2) + "m" * 3_000
        )
        registry.decide(2)
    record = registry.models()[-1]
    assert len(record.history) == 201
    assert len(encode(record)) < 50_000
    assert sum(decision.verdict == "done" for decision in registry.decisions().values()) == 201


def test_answer_that_its_topic_does_not_take_is_given_shortly() -> None:
    """Topics whose limit an operator has lowered: the candidate is refused, the command too, and all others go on."""
    registry = Registry()
    topic = registry.cluster._topics["freshet.models"]
    topic.max_message_bytes = 4_000
    big = candidate("m", lineage={f"key{i}": "v" * 100 for i in range(50)})
    registry.publish(big.manifest)
    registry.command("c1", "pause")
    registry.decide(200)
    found = registry.decisions()
    assert found["c1"].verdict == "done"
    assert (found[big.manifest.digest].verdict, "topic takes" in found[big.manifest.digest].reason) == ("refused", True)
    assert [(record.state, record.manifest.lineage) for record in registry.models()] == [("refused", {})]


def test_command_whose_effect_is_too_large_is_refused_and_what_moves_an_epoch_is_said_in_short() -> None:
    """A note that does not fit any more is refused; a promotion is carried out, without a history nobody needs."""
    registry = Registry()
    registry.publish(candidate("m").manifest)
    registry.decide()
    for note in range(3):
        registry.command(f"n{note}", "annotate", pipeline=PIPELINE, version="1.0.0", text="n" * 1_500)
        registry.decide(2)
    largest = max(len(encode(record)) for record in registry.models())
    registry.cluster._topics["freshet.models"].max_message_bytes = largest - 500
    registry.command("c1", "annotate", pipeline=PIPELINE, version="1.0.0", text="n" * 1_500)
    registry.decide(100)
    registry.command("c2", "promote", pipeline=PIPELINE, version="1.0.0")
    registry.decide(200)
    found = registry.decisions()
    assert (found["c1"].verdict, "topic takes" in found["c1"].reason) == ("refused", True)
    assert (found["c2"].verdict, found["c2"].epoch) == ("done", 1)
    champion = registry.models()[-1]
    assert (champion.aliases, len(champion.history)) == (("champion",), 5)
