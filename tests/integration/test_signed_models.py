"""Signed models on a real Kafka: a registry, and a worker's core that reads what is on the topics, strangers' too."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from freshet.avro.control import encode
from freshet.contracts.messages import Action, Candidate, Command, Decision, Message, ModelVersion, Rollout
from freshet.contracts.topic_table import TopicNames
from freshet.registry.core.decider import RegistryDecider
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.bus.protocol import Send
from freshet.runtime.clock import SystemClock
from freshet.runtime.feed import Feed
from freshet.runtime.jobs import InlineJobs
from freshet.runtime.owner_loop import OwnerLoop
from freshet.runtime.provision import provision
from freshet.runtime.telemetry import Metrics
from freshet.runtime.trust_file import TrustFile
from freshet.trust.signing_key import SigningKey
from freshet.trust.statements import release_statement
from support.faults import until
from support.inference import Worker
from support.registry import PIPELINE, Judgement, candidate, specification, worker
from support.signed import KeyRing, demanding, signed

pytestmark = pytest.mark.kafka


class Stage:
    """The control topics of a namespace, a registry and a worker that follow them, and one trust file for both."""

    def __init__(self, bus: KafkaBus, folder: Path) -> None:
        self.bus, self.ring, self._folder = bus, KeyRing(), folder
        self._producer = bus.producer()
        self.file = TrustFile(self.ring.save(folder))
        self.registry = OwnerLoop(
            RegistryDecider(self.file, self.ring.release),
            bus,
            bus.names,
            service="registry",
            jobs=InlineJobs(lambda *_: Judgement()),
            clock=SystemClock(),
            metrics=Metrics(),
        )
        self.worker = Worker(keys=self.file)
        self._followed, self._seen = (
            Feed(bus.reader(["pipelines", "models", "rollouts"])),
            Feed(bus.reader(["models", "rollouts", "decisions"])),
        )
        self.records: list[Message] = []

    def write(self, role: str, key: str, message: Message) -> None:
        """Append a record, as anybody may who has the right to."""
        self._producer.send(Send(role, [key.encode()], [encode(message)]))

    def changed_keys(self) -> None:
        """The operator's file is another one, and both have noticed."""
        self.ring.save(self._folder)
        self.file.look()

    def turn(self) -> None:
        """Everybody takes one step."""
        self.registry.step(0.05)
        for fact in self._followed.facts(0.05):
            self.worker.logic.fold(fact)
        self.worker.settle()
        self.records += [fact.message for fact in self._seen.facts(0.05) if fact.message is not None]

    def until(self, what: str, holds: Callable[[], bool]) -> None:
        """Turn until it holds."""

        def turned() -> bool:
            self.turn()
            return holds()

        until(what, turned)

    def publish(self, asked: Candidate) -> ModelVersion:
        """Publish a candidate; the registry's new word on it."""
        before = len(self._words(asked))
        self.write("candidates", f"{PIPELINE}/{asked.manifest.digest}", asked)
        self.until("a verdict", lambda: len(self._words(asked)) > before)
        return self._words(asked)[-1]

    def command(self, action: Action, version: str = "") -> Decision:
        """Ask for something; the answer."""
        name = f"c{len(self.records)}"
        asked = Command(command_id=name, pipeline=PIPELINE, action=action, version=version, expires_at_ms=2**50, by="t")
        self.write("commands", PIPELINE, asked)
        self.until("an answer", lambda: bool(self._answers(name)))
        return self._answers(name)[0]

    def serves(self, epoch: int, version: str) -> None:
        """The worker has come to answer with this version under this epoch."""
        self.until(f"epoch {epoch}", lambda: self.worker.state.live_epoch == epoch)
        assert version in self.worker.state.resident

    def close(self) -> None:
        """Free everything."""
        for part in (self.registry, self._followed, self._seen, self._producer):
            part.close()

    def _words(self, asked: Candidate) -> list[ModelVersion]:
        digest = asked.manifest.digest
        return [one for one in self.records if isinstance(one, ModelVersion) and one.manifest.digest == digest]

    def _answers(self, name: str) -> list[Decision]:
        return [one for one in self.records if isinstance(one, Decision) and one.subject == name]


@pytest.fixture
def stage(kafka: str, namespace: str, tmp_path: Path) -> Iterator[Stage]:
    """A pipeline that demands signatures, without a model."""
    admin = KafkaAdmin(kafka)
    provision(admin, namespace, [])
    with closing(Stage(KafkaBus(kafka, TopicNames(namespace, "")), tmp_path)) as made:
        made.write("pipelines", f"{PIPELINE}/1", demanding(specification()))
        yield made
    admin.delete([topic for topic in admin.names() if topic.startswith(namespace)])


def forged(of: Rollout, key: SigningKey | None, **changes: object) -> Rollout:
    """An epoch that a stranger makes of one that is known."""
    record = of.model_copy(update=changes)
    signatures = key.sign(release_statement(record)) if key else {}
    return record.model_copy(update={"signatures": signatures})


def test_only_what_trusted_keys_have_signed_comes_to_answer(stage: Stage) -> None:
    """Unsigned, unknown, wrong role, replayed, forged, rotated, revoked: what registry and worker make of each."""
    ring, a, b, c = stage.ring, candidate("a"), candidate("b"), candidate("c")

    # what no builder signed is no version
    assert stage.publish(a).reason.startswith("signature_missing: ")
    assert stage.publish(signed(a, ring.stranger)).reason.startswith("signature_unknown_key: ")
    assert stage.publish(signed(a, ring.release)).reason.startswith("signature_wrong_role: ")
    loans = a.model_copy(update={"manifest": a.manifest.model_copy(update={"pipeline": "loans"})})
    replayed = a.model_copy(update={"signatures": signed(loans, ring.builder).signatures})
    assert stage.publish(replayed).reason.startswith("signature_invalid: ")

    # what is signed answers
    assert stage.publish(signed(a, ring.builder)).version == "1.0.0"
    assert stage.publish(signed(b, ring.builder)).version == "1.1.0"
    assert stage.command("promote", "1.0.0").verdict == "done"
    stage.serves(1, "1.0.0")
    first = next(one for one in stage.records if isinstance(one, Rollout) and one.phase == "live")

    # a stranger's epochs are not believed, and the worker says so; the signature of an old one is not of another number
    stage.write("rollouts", f"{PIPELINE}/2", first.model_copy(update={"epoch": 2}))
    stage.until("a refusal", lambda: any("signature_invalid" in told for told in stage.worker.state.warnings))
    for at, (key, changes, code) in enumerate(
        (
            (None, {}, "signature_missing"),
            (ring.stranger, {}, "signature_unknown_key"),
            (ring.builder, {}, "signature_wrong_role"),
            (ring.release, {"life": "before"}, "signature_other_life"),
        )
    ):
        record = forged(first, key, epoch=50 + at, **changes)
        stage.write("rollouts", f"{PIPELINE}/{record.epoch}", record)
        stage.until(code, lambda code=code: any(code in told for told in stage.worker.state.warnings))  # type: ignore[misc]
        assert stage.worker.state.live_epoch == 1

    # the registry's next epoch counts, an old one that is written again does not; a stranger has had the number 2
    assert stage.command("promote", "1.1.0").verdict == "done"
    stage.serves(3, "1.1.0")
    stage.write("rollouts", f"{PIPELINE}/1", first)
    assert stage.command("rollback").verdict == "done"
    stage.serves(4, "1.0.0")

    # rotation: a second builder's key, then the first is revoked while all run
    ring.trust(ring.stranger, "builder")
    stage.changed_keys()
    assert stage.publish(signed(c, ring.stranger)).state == "admitted"
    ring.revoke(ring.builder)
    stage.changed_keys()
    refused = stage.command("promote", "1.1.0")
    assert refused.verdict == "refused"
    assert "signature_revoked_key" in refused.reason
    assert stage.publish(signed(candidate("d"), ring.builder)).reason.startswith("signature_revoked_key: ")
    stage.turn()
    assert stage.worker.state.live_epoch == 4
    assert any("signature_revoked_key" in told for told in stage.worker.state.warnings)
    assert stage.command("promote", "1.2.0").verdict == "done"
    stage.serves(5, "1.2.0")


def test_a_quarantine_waits_for_a_key_that_counts_and_keeps_nobody_else_waiting(stage: Stage) -> None:
    """The release key is revoked, and a version fails: commands are answered, the registry says what it waits for."""
    ring = stage.ring
    for name, version in (("a", "1.0.0"), ("b", "1.1.0")):
        assert stage.publish(signed(candidate(name), ring.builder)).version == version
        assert stage.command("promote", version).verdict == "done"
    stage.serves(2, "1.1.0")
    ring.revoke(ring.release)
    stage.changed_keys()
    stage.write("workers", "w1", worker("w1", quarantined=("1.1.0",)))
    assert stage.command("annotate", "1.0.0").verdict == "done"
    assert stage.command("promote", "1.0.0").verdict == "refused"
    assert "epoch 3 (quarantine 1.1.0) waits" in (stage.registry.unready() or "")
    ring.trust(ring.release, "release")
    stage.changed_keys()
    stage.serves(3, "1.0.0")
    assert stage.registry.unready() is None
