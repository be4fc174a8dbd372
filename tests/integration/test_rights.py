"""On a cluster that looks up rights: what each service needs, and what it says when one right is missing."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from freshet.contracts.arrays import Floats32
from freshet.contracts.shipped import pipelines_dir
from freshet.contracts.topic_table import TopicNames
from freshet.lab.demo import loans
from freshet.lab.demo.training import train
from freshet.lab.local_deployment import LocalDeployment
from freshet.models.packing import pack
from freshet.operate import commands
from freshet.operate.tables.features import feature_rows
from freshet.runtime.artifacts import publish_model
from freshet.runtime.bus.kafka.releases import Verdict, cluster_verdict
from freshet.runtime.bus.protocol import Send
from freshet.runtime.process import EXIT_SETTINGS
from support.ingestion import framed, framed_feedback, loan
from support.secured import Right, SecuredKafka
from support.services import Process, until

pytestmark = [pytest.mark.kafka, pytest.mark.faults]

TOPICS = {
    "ingestion": {
        "READ": ("events", "feedback", "features", "labels", "dead-letters", "pipelines"),
        "WRITE": ("features", "labels", "dead-letters", "workers"),
    },
    "inference": {
        "READ": ("features", "predictions", "dead-letters", "pipelines", "models", "rollouts", "artifacts", "cutovers"),
        "WRITE": ("predictions", "dead-letters", "cutovers", "workers"),
    },
    "registry": {
        "READ": ("pipelines", "candidates", "workers", "commands", "models", "rollouts", "decisions", "artifacts"),
        "WRITE": ("models", "rollouts", "decisions", "workers"),
    },
}


def needed(service: str, names: TopicNames) -> list[Right]:
    """All that the service needs, and nothing else: `docs/clients.md` has the same table."""
    registry = service == "registry"
    groups = [names.reader_group] if registry else [names.reader_group, names.group(service)]
    identity = (
        TopicNames(names.namespace).transactional_id(service, "owner")
        if registry
        else names.transactional_id(service, "0")
    )
    return [
        *(Right(may, "topic", names.topic(role)) for may, roles in TOPICS[service].items() for role in roles),
        *(Right("READ", "group", group) for group in groups),
        Right("WRITE", "transactional id", identity),
    ]


@dataclass
class Ground:
    """The loans pipeline on a secured Kafka, and what a service is given to do there."""

    kafka: SecuredKafka
    stage: LocalDeployment
    folder: Path
    runs: int = field(default=0)

    def feed(self) -> None:
        """Something for every output: good rows and bad ones, feedback, a command and a model."""
        self.runs += 1
        send, event_id, now_ms = self.stage.producer.send, f"event-{self.runs}", time.time_ns() // 1_000_000
        send(Send("events", [b"ada"] * 2, [framed(loan(event_id=event_id, at=now_ms)), b"bad"]))
        send(Send("feedback", [b"ada"] * 2, [framed_feedback(event_id=event_id, labelled_at=now_ms), b"bad"]))
        send(Send("features", [b"ada"], [b"bad"]))

    def offer(self) -> None:
        """A model that nobody has judged, and a command."""
        spec = self.stage.spec
        bundle = pack(train("linear", *_rows(self.stage)), _rows(self.stage)[0], spec).bundle
        manifest = bundle.manifest.model_copy(update={"lineage": {"run": str(self.runs)}})
        publish_model(self.stage.producer, bundle.data, manifest)
        commands.publish(self.stage.producer, commands.command(spec.pipeline, "resume", expires_ms=60_000))

    def run(self, service: str, rights: list[Right]) -> Process:
        """Start it with these rights alone, as if it had never run: it has to look for where it goes on."""
        self._forget(service)
        self.feed()
        if service == "registry":
            self.offer()
        pipelines = () if service == "registry" else ("--pipelines", "loans", "--slots", "elastic", "--slot", "0")
        log = self.folder / f"{service}-{self.runs}"
        user = self.kafka.user(rights)
        return Process(self.kafka.servers, self.stage.names.namespace, log, service, *pipelines, kafka=user)

    def _forget(self, service: str) -> None:
        group, admin = self.stage.names.group(service), AdminClient({"bootstrap.servers": self.kafka.open_servers})

        def gone() -> bool:
            error = admin.delete_consumer_groups([group])[group].exception(30)
            return error is None or "NON_EMPTY" not in str(error)

        until(gone, f"the end of group {group}")


def _rows(stage: LocalDeployment) -> tuple[Floats32, list[str]]:
    return feature_rows(stage.spec, stage.schema, loans.sample(stage.schema, 300, 1))


@pytest.fixture
def ground(secured: SecuredKafka, namespace: str, tmp_path: Path) -> Iterator[Ground]:
    """Applied by somebody who may do everything."""
    with LocalDeployment(secured.open_servers, namespace, pipelines_dir() / "loans", tmp_path) as stage:
        stage.apply()
        yield Ground(secured, stage, tmp_path)


LOGGED = {
    ("ingestion", "WRITE", "workers"): "dropped",
    ("inference", "WRITE", "workers"): "dropped",
    ("registry", "WRITE", "workers"): "dropped",
    ("inference", "READ", "artifacts"): "away",
    ("registry", "READ", "artifacts"): "job_failed",
}
"""What a service can do without for a while is said in its log under this event; the rest ends it."""


def prepared(ground: Ground, service: str) -> None:
    """Inference needs the other two services and a model, which run as somebody who may do everything."""
    if service == "inference":
        ground.offer()
        ground.stage.run("registry")
        ground.stage.run("ingestion-0")


def work_of(ground: Ground, service: str) -> Callable[[], bool]:
    """Whether the service has done all that it was given."""
    stage = ground.stage
    if service == "registry":

        def decided() -> bool:
            stage.view.refresh()
            return min(len(stage.view.ledger.versions.in_force()), len(stage.view.decisions)) >= ground.runs

        return decided
    roles = ("events", "feedback") if service == "ingestion" else ("features",)
    return lambda: all(stage.unread(service, role) == 0 for role in roles)


def complaint(process: Process) -> tuple[str, str] | None:
    """Event and sentence of the first line of its log that asks for a right."""
    for line in process.lines():
        # a loop of several tells of its failure first; that of the only one then ends the process
        if "Grant the user" in str(line.get("error")) and line["event"] != "failed":
            return line["event"], line["error"]
    return None


def without(ground: Ground, service: str, right: Right) -> tuple[str, bool]:
    """What the service says without this right, and whether it names it; '' if it says nothing."""
    rights = [other for other in needed(service, ground.stage.names) if other != right]
    with ground.run(service, rights) as process:
        try:
            event, error = until(lambda: complaint(process), "a word about a right")
        except AssertionError:
            return "", False
        if event != "settings":
            process.terminate()  # in order: else its group keeps its place for a session's timeout, and the next waits
        return event if event != "settings" or process.ended() == EXIT_SETTINGS else "no exit", right.name in error


@pytest.mark.faults  # a process for each of some thirty rights: minutes
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("service", ["ingestion", "inference", "registry"])
def test_a_service_needs_these_rights_and_names_the_one_it_lacks(ground: Ground, service: str) -> None:
    """With all of them it works; without any single one it ends with exit code 2, or says so in its log."""
    names = ground.stage.names
    rights = needed(service, names)
    first = Right("WRITE", "topic", names.topic("cutovers"))  # written once, when a model goes live
    prepared(ground, service)
    said = {right: without(ground, service, right) for right in rights if right == first}
    done = work_of(ground, service)
    with ground.run(service, rights) as process:
        until(done, f"the work of {service}")
        assert process.terminate() == 0
        assert complaint(process) is None
    said |= {right: without(ground, service, right) for right in rights if right != first}
    logged = {
        Right(may, "topic", names.topic(role)): event for (of, may, role), event in LOGGED.items() if of == service
    }
    unlike = {right: told for right, told in said.items() if told != (logged.get(right, "settings"), True)}
    assert unlike == {}


def test_a_user_without_any_right_can_still_tell_a_faulty_kafka(secured: SecuredKafka) -> None:
    """Brokers say what they know before the log-in, so a cluster that asks for one is judged like any other."""
    assert cluster_verdict(secured.servers, secured.user([])) == Verdict({}, frozenset())
    nobody = {**secured.user([]), "sasl.password": "wrong"}
    assert cluster_verdict(secured.servers, nobody, within_s=2.0) == Verdict({}, frozenset({secured.servers}))
