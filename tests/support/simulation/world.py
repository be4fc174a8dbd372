"""What a run is about: a cluster with one pipeline, its processes, and the people and producers around them."""

from collections.abc import Iterator
from random import Random
from typing import Final

from freshet.avro.control import decode, encode
from freshet.contracts.messages import Action, Command, Message, ModelVersion, Rollout
from freshet.contracts.position import unstamped
from freshet.contracts.topic_table import TopicNames
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.memory.consumer_group import Group
from freshet.runtime.bus.memory.partition_log import At
from freshet.runtime.bus.protocol import Committed, Send
from freshet.runtime.publishing import publish_pipeline
from freshet.runtime.reading import everything
from support.registry import PIPELINE, candidate
from support.simulation import pipeline, processes
from support.simulation.pipeline import PARTITIONS, Minds, Policy
from support.simulation.processes import Process, Where

NAMES: Final = TopicNames("", PIPELINE)
INPUTS: Final = (("ingestion", "events"), ("ingestion", "feedback"), ("inference", "features"))
_CONTROL_ROLES: Final = (
    *("schemas", "pipelines", "candidates", "models", "rollouts"),
    *("cutovers", "workers", "commands", "decisions"),
)


class World:
    """Two ingestion and three inference workers, two registries, two people who may apply a specification."""

    DATA_ROLES: Final = ("events", "feedback", "features", "labels", "predictions", "dead-letters")

    def __init__(self, random: Random) -> None:
        self.random = random
        self.cluster = MemoryCluster()
        self.cluster.ensure(NAMES, PARTITIONS, (*self.DATA_ROLES, *_CONTROL_ROLES))
        self.bus = MemoryBus(self.cluster, NAMES)
        self.minds = Minds()
        policy: Policy = random.choice(["immediate", "manual"])
        self.commands: list[str] = []
        self.fed = self.labelled = 0
        self._producer = self.bus.producer()
        self.where = where = Where(self.cluster, self.bus, self.minds, random, skip_expired=random.random() < 0.5)
        self.fixed = random.random() < 0.5
        self.processes: list[Process] = [
            *(processes.ingestion(where, slot, fixed=self.fixed) for slot in "01"),
            *(processes.inference(where, slot, fixed=self.fixed) for slot in "012"),
            *(processes.registry(where, name) for name in "ab"),
        ]
        self.appliers = [processes.applier(where, name) for name in "ab"]
        self.say("pipelines", f"{PIPELINE}/1", pipeline.pipeline_record(policy))
        self.offer("sound-0")

    # People and producers

    def say(self, role: str, key: str, message: Message) -> None:
        """Write a control record."""
        self._producer.send(Send(role, [key.encode()], [encode(message)]))

    def offer(self, name: str) -> None:
        """`freshet model publish`, of one of the prepared candidates."""
        asked = candidate(name)
        self.say("candidates", f"{PIPELINE}/{asked.manifest.digest}", asked)

    def apply(self, policy: Policy) -> None:
        """`freshet apply`: another rule of rollouts. Raises what publishing does."""
        spec, text = pipeline.specification(policy)
        publish_pipeline(self.bus, NAMES.namespace, spec, text, pipeline.EVENT_SCHEMA)

    def command(self, action: Action, version: str = "", *, ttl_ms: int = 600_000, expected: int | None = None) -> None:
        """An operator asks."""
        self.commands.append(f"c{len(self.commands)}")
        asked = Command(
            command_id=self.commands[-1],
            pipeline=PIPELINE,
            action=action,
            version=version,
            expected_epoch=expected,
            expires_at_ms=self.cluster.now_ms + ttl_ms,
            by="ops",
        )
        self.say("commands", PIPELINE, asked)

    def feed(self, count: int) -> None:
        """Events, keyed by card."""
        values = pipeline.events(self.fed, count, self.cluster.now_ms)
        self._producer.send(Send("events", pipeline.cards(self.fed, count), values))
        self.fed += count

    def feed_junk(self) -> None:
        """An event that nobody can read."""
        self._producer.send(Send("events", [b"card0"], [b"junk"]))

    def label(self, count: int) -> None:
        """Feedback about the events since the last."""
        count = min(count, self.fed - self.labelled)
        if count:
            values = pipeline.feedback(self.labelled, count, self.cluster.now_ms)
            self._producer.send(Send("feedback", pipeline.cards(self.labelled, count), values))
            self.labelled += count

    # What is there

    def versions(self) -> list[str]:
        """Versions that were ever numbered."""
        return sorted({message.version for message in self.messages("models") if isinstance(message, ModelVersion)})

    def serving(self) -> str:
        """The version that answers, '' if none."""
        live = {m.epoch: m for m in self.messages("rollouts") if isinstance(m, Rollout) and m.phase == "live"}
        return live[max(live)].table[0].version if live and live[max(live)].table else ""

    def messages(self, role: str) -> Iterator[Message]:
        """All records of a control topic that a read_committed reader sees."""
        for value in self.values(role):
            yield decode(role, value)

    def values(self, role: str) -> Iterator[bytes]:
        """The values of all records that a read_committed reader sees."""
        for batch in everything(self.bus, role):
            yield from (value for value in batch.values if value is not None)

    def group(self, service: str) -> Group:
        """The consumer group of a service."""
        return self.cluster.group(NAMES.group(service))

    def committed(self, service: str, role: str) -> dict[int, Committed]:
        """As `verify` asks the broker."""
        found = {
            log.at.partition: self.group(service).committed(At(log.at.topic, log.at.partition))
            for log in self.cluster.topic(NAMES.topic(role)).logs
        }
        return {partition: at for partition, at in found.items() if at is not None}

    def committed_now(self, service: str, role: str) -> dict[int, Committed]:
        """Committed offsets but those that name a topic that is no more, or whose number a script has changed."""
        lives, found = {"", self.bus.topic_id(role)}, self.committed(service, role)
        stamps = {n: unstamped(at.metadata, at.offset) for n, at in found.items()}
        return {n: at for n, at in found.items() if stamps[n].topic_id in lives and not stamps[n].moved}

    def of(self, service: str) -> list[Process]:
        """Processes of one service."""
        return [process for process in self.processes if process.service == service]

    def drained(self) -> bool:
        """Whether everything that was read was committed, to the end of every input."""
        for service, role in INPUTS:
            committed = self.committed_now(service, role)
            for partition, span in self.bus.spans(role).items():
                at = committed.get(partition)
                if span.end > span.low and (at is None or at.offset < self._last(role, partition)):
                    return False
        return True

    def _last(self, role: str, partition: int) -> int:
        """Offset behind the last record, which markers may follow."""
        return self.cluster.topic(NAMES.topic(role)).log(partition).last_record() + 1
