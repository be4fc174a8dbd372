"""A small world around the registry's core: a log that it commits to, jobs, workers, and a clock that tests set."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from freshet.avro.control import decode, encode
from freshet.contracts.errors import FreshetError
from freshet.contracts.logic import Announce, Cancel, Fact, Outcome, Start
from freshet.contracts.messages import (
    Action,
    Candidate,
    Command,
    Decision,
    Golden,
    Manifest,
    Message,
    ModelVersion,
    PartitionState,
    PipelineRecord,
    Prepared,
    Rollout,
    WorkerState,
)
from freshet.models.verdict import AdmissionVerdict
from freshet.registry.core.admission_job import Admit
from freshet.registry.core.decider import RegistryDecider
from support.registry_laws import Laws

BEAT_MS = 1_000
PREPARE_MS = 60_000
PIPELINE = "fraud"

_SPEC = """
pipeline: {pipeline}
entity: card_id
event_id: event_id
event_time: event_time
features: {{version: 1, columns: [{{kind: field, of: amount}}, {{kind: log, of: amount}}]}}
target: {{classes: [legit, fraud]}}
rollout: {{policy: {policy}, prepare_timeout: 60s}}
retraining: {{approval: {approval}}}
"""


@dataclass(frozen=True, slots=True)
class Judgement(AdmissionVerdict):
    """What a test wants of an admission: that the model is good, unless it says otherwise."""

    admitted: bool = True
    memory_bytes: int = 1_000_000
    p99_us: int = 300


def specification(
    policy: str = "manual", number: int = 1, pipeline: str = PIPELINE, approval: str = "none"
) -> PipelineRecord:
    """A small valid pipeline under that policy."""
    spec = _SPEC.format(pipeline=pipeline, policy=policy, approval=approval)
    return PipelineRecord(pipeline=pipeline, number=number, spec=spec, event_schema="{}", event_schema_id=1)


def candidate(
    name: str,
    *,
    inputs: tuple[str, ...] = ("amount",),
    classes: tuple[str, ...] = ("legit", "fraud"),
    trainer: str = "sklearn.LogisticRegression",
    lineage: dict[str, str] | None = None,
) -> Candidate:
    """A candidate whose digest follows from its name."""
    manifest = Manifest(
        pipeline=PIPELINE,
        digest=sha256(name.encode()).hexdigest(),
        size_bytes=1,
        chunk_bytes=1,
        chunk_digests=("c",),
        inputs=inputs,
        classes=classes,
        input_name="x",
        output_name="y",
        opset=18,
        golden=Golden(rows=1, features=b"", scores=b""),
        trainer=trainer,
        lineage=lineage or {},
    )
    return Candidate(manifest=manifest)


def worker(instance: str = "w1", **but: object) -> WorkerState:
    """A healthy worker of the serving lane with one partition."""
    state = WorkerState(
        instance=instance,
        service="inference",
        pipeline=PIPELINE,
        interval_ms=BEAT_MS,
        partitions=(PartitionState(partition=0, epoch=0, fallback=0),),
    )
    return state.model_copy(update=but)


def ready(*epochs: int, verdict: str = "ok") -> tuple[Prepared, ...]:
    """What a worker shows for epochs that it has prepared."""
    return tuple(Prepared(epoch=epoch, verdict=verdict) for epoch in epochs)


def decided(decider: RegistryDecider, now_ms: int) -> list[Announce | Start | Cancel]:
    """One step of every pipeline."""
    return [effect for pipeline in decider.pipelines() for effect in decider.decide(pipeline, now_ms)]


def refold(facts: Iterable[Fact]) -> RegistryDecider:
    """A registry that has just been started on these topics."""
    decider = RegistryDecider()
    for fact in facts:
        decider.fold(fact)
    return decider


class World:
    """Everything around one registry. Records pass through their real encoding, as on the topics."""

    def __init__(self) -> None:
        self.now_ms = 1_000_000
        self.log: list[Fact] = []
        self.judgements: dict[str, Judgement | str] = {}
        """By digest: the report of its admission, or the error of the attempt; admitted by default."""
        self.jobs: list[Admit] = []
        self.decider = RegistryDecider()
        self.laws = Laws()
        """Held after every commit."""

    def tell(self, role: str, key: str, message: Message | None) -> None:
        """A record is committed to the topic and followed."""
        value = None if message is None else decode(role, encode(message))
        fact = Fact(role, key, value, self.now_ms, len(self.log))
        self.log.append(fact)
        self.decider.fold(fact)

    def apply(self, policy: str = "manual", number: int = 1, approval: str = "none") -> None:
        """`freshet apply`."""
        self.tell("pipelines", f"{PIPELINE}/{number}", specification(policy, number, approval=approval))

    def publish(self, asked: Candidate) -> None:
        """`freshet model publish`."""
        self.tell("candidates", f"{PIPELINE}/{asked.manifest.digest}", asked)

    def beat(self, state: WorkerState) -> None:
        """A worker says how it is."""
        self.tell("workers", state.instance, state)

    def command(
        self, action: Action, version: str = "", *, expected: int | None = None, ttl_ms: int = 600_000, text: str = ""
    ) -> str:
        """An operator asks; the command's id."""
        command = Command(
            command_id=f"c{len(self.log)}",
            pipeline=PIPELINE,
            action=action,
            version=version,
            text=text,
            expected_epoch=expected,
            expires_at_ms=self.now_ms + ttl_ms,
            by="ops",
        )
        self.tell("commands", PIPELINE, command)
        return command.command_id

    def decide(self) -> list[Announce]:
        """One decision, committed and folded; jobs wait to be run."""
        effects = decided(self.decider, self.now_ms)
        self.jobs += [effect.job for effect in effects if isinstance(effect, Start) and isinstance(effect.job, Admit)]
        announces = [effect for effect in effects if isinstance(effect, Announce)]
        for announced in announces:
            self.tell(announced.role, announced.key, announced.message)
        self.laws.read(self.log)
        return announces

    def run_jobs(self) -> None:
        """Finish every admission that was started."""
        jobs, self.jobs = self.jobs, []
        for job in jobs:
            judgement = self.judgements.get(job.digest, Judgement())
            if isinstance(judgement, str):
                self.decider.on_job(Outcome(job, error=FreshetError(judgement)))
            else:
                self.decider.on_job(Outcome(job, result=judgement))

    def settle(self, steps: int = 100) -> list[Announce]:
        """Decide and run jobs until nothing follows any more; everything announced. Fails if that never comes."""
        announced: list[Announce] = []
        for _ in range(steps):
            more = self.decide()
            announced += more
            if not more and not self.jobs:
                return announced
            self.run_jobs()
        raise AssertionError(f"still deciding after {steps} steps: {announced[-3:]}")

    def crash(self) -> None:
        """The process dies; its successor folds the topics. Jobs die with it."""
        self.jobs = []
        self.decider = refold(self.log)

    def models(self) -> dict[str, ModelVersion]:
        """Newest models record by version, refused ones by digest."""
        records = [fact.message for fact in self.log if isinstance(fact.message, ModelVersion)]
        return {record.version or record.manifest.digest: record for record in records}

    def rollouts(self) -> dict[int, Rollout]:
        """Newest record of each epoch."""
        return {fact.message.epoch: fact.message for fact in self.log if isinstance(fact.message, Rollout)}

    def live(self) -> Rollout | None:
        """The epoch in force, as a worker sees it."""
        epochs = [rollout for rollout in self.rollouts().values() if rollout.phase == "live"]
        return max(epochs, key=lambda rollout: rollout.epoch, default=None)

    def serving(self) -> str:
        """The version that answers, '' if none."""
        live = self.live()
        return live.table[0].version if live and live.table else ""

    def decisions(self, subject: str) -> list[Decision]:
        """All decisions on a command, digest or epoch."""
        found = [fact.message for fact in self.log if isinstance(fact.message, Decision)]
        return [decision for decision in found if decision.subject == subject]

    def verdict(self, subject: str) -> str:
        """The verdict of the one decision on this subject, '' while there is none."""
        found = self.decisions(subject)
        assert len(found) <= 1, found
        return found[0].verdict if found else ""


def served(*names: str, policy: str = "manual") -> World:
    """A world in which these candidates were admitted and promoted in turn, without workers: 1.0.0, 1.1.0, …"""
    world = World()
    world.apply(policy)
    for minor, name in enumerate(names):
        world.publish(candidate(name))
        world.settle()
        if policy == "manual":
            world.command("promote", f"1.{minor}.0")
            world.settle()
        assert world.serving() == f"1.{minor}.0"
    return world
