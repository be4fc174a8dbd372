"""A whole Freshet for one pipeline on this machine: topics, services as supervised processes, and a view of them."""

import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final

from freshet.contracts.messages import Action as Asked
from freshet.contracts.messages import Decision, Manifest, ModelVersion, Rollout
from freshet.contracts.topic_table import TopicNames
from freshet.lab.console_process import CONSOLE, OpenConsole, open_console
from freshet.lab.load import Load
from freshet.lab.logins import Logins
from freshet.lab.supervisor import Supervisor
from freshet.operate import commands
from freshet.operate.broker_record import ADMIN
from freshet.operate.lag.lag_rows import ANSWERING, JUDGING
from freshet.operate.pipeline_view import View
from freshet.pipeline import load_folder
from freshet.runtime.artifacts import publish_model
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.kafka.grants import KafkaGrants
from freshet.runtime.bus.protocol import Committed, Place
from freshet.runtime.clock import SystemClock
from freshet.runtime.provision import provision
from freshet.runtime.publishing import publish_pipeline
from freshet.runtime.reading import everything
from freshet.runtime.rights import Right, rights_of_users
from freshet.runtime.service import ControlService, load_service

DRIFT: Final = "drift-0"
"""The process that joins labels, evaluates and detects."""

_EXPIRY_MS: Final = 120_000


class LocalDeployment:
    """Applies a pipeline folder, starts its services, and talks to them as any user would: over the topics."""

    def __init__(
        self,
        bootstrap_servers: str,
        namespace: str,
        folder: Path,
        logs: Path,
        *,
        workers: int = 2,
        logins: Logins | None = None,
    ) -> None:
        """`logins` tell as whom each service connects, and this, as `admin`; without them nobody is asked."""
        # the client repeats ten times a second what `wait` will say once
        logging.getLogger("freshet.kafka").setLevel(logging.CRITICAL)
        self.spec, self._text, self.schema = load_folder(folder)
        self.names = TopicNames(namespace, self.spec.pipeline)
        self._bootstrap_servers, self._logins = bootstrap_servers, logins or Logins()
        ours = self._logins.login(ADMIN)
        self.bus = KafkaBus(bootstrap_servers, self.names, extra=ours)
        self.admin = KafkaGrants(bootstrap_servers, extra=ours)
        self.producer = self.bus.producer()
        self.inference = tuple(f"inference-{slot}" for slot in range(workers))
        self.supervisor = Supervisor(logs=logs)
        self._env = {"KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers, "FRESHET_NAMESPACE": namespace}
        self._view: View | None = None
        self.event_schema_id = 0

    def __enter__(self) -> "LocalDeployment":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def view(self) -> View:
        """What the control topics say; the pipeline must have been applied."""
        if self._view is None:
            self._view = View(self.bus, self.spec.pipeline)
        return self._view

    def apply(self, say: Callable[[str], object] = lambda _: None) -> None:
        """Create the topics, on a secured broker of ours also the rights, and publish the pipeline with its schemas."""
        if self._logins.ours is not None:
            self.admin.grant(self._rights())
        provision(self.admin, self.names.namespace, [(self.spec.pipeline, self.spec.partitions)], say=say)
        published = publish_pipeline(self.bus, self.names.namespace, self.spec, self._text, self.schema)
        self.event_schema_id = published.record.event_schema_id

    def start(self) -> None:
        """Start all services; returns at once."""
        for name in self.services:
            self.run(name)

    def run(self, name: str) -> None:
        """Start one service process, named `service` or `service-slot`."""
        service, _, slot = name.partition("-")
        command = [sys.executable, "-m", "freshet.cli", "run", service, "--slot", slot or "0"]
        alone = isinstance(load_service(service), ControlService)
        pipelines = [] if alone else ["--pipelines", self.spec.pipeline]
        self.supervisor.start(name, [*command, *pipelines], self._env_of(service))

    def _env_of(self, principal: str) -> dict[str, str]:
        login = self._logins.login(principal)
        return {**self._env, "FRESHET_KAFKA": json.dumps(dict(login))} if login else self._env

    def _rights(self) -> dict[str, list[Right]]:
        return rights_of_users(self.names.namespace, [self.spec.pipeline])

    def open_console(self) -> OpenConsole | None:
        """Start the console, which shows this deployment in a browser; None if its packages are not installed."""
        return open_console(self.supervisor, self._env_of(CONSOLE))

    @property
    def services(self) -> tuple[str, ...]:
        """Names of all service processes; retraining among them where the pipeline says when a model is trained."""
        retraining = ("retraining",) if self.spec.retraining.triggers else ()
        return ("registry", "ingestion-0", *self.inference, DRIFT, *retraining)

    def load(self, **options: object) -> Load:
        """A source of load on this pipeline; options as for `Load`."""
        theirs = self._logins.login("producers")
        return Load(
            KafkaBus(self._bootstrap_servers, self.names, extra=theirs).producer(),
            self.spec,
            self.schema,
            self.event_schema_id,
            SystemClock(),
            **options,  # type: ignore[arg-type]
        )

    def offer(self, data: bytes, manifest: Manifest, timeout_s: float = 60.0) -> ModelVersion:
        """Publish a model and wait for the registry's verdict."""
        publish_model(self.producer, data, manifest)
        versions = self.view.ledger.versions
        return self.view.wait("the registry's verdict on a model", lambda _: versions.verdict(manifest), timeout_s)

    def wait_live(self, version: str, timeout_s: float = 60.0) -> Rollout:
        """Wait until this version answers."""
        return self.view.wait(
            f"version {version} to go live",
            lambda view: view.ledger.epochs.live if view.ledger.epochs.serving == version else None,
            timeout_s,
        )

    def wait_reached(self, epoch: int, timeout_s: float = 60.0) -> None:
        """Wait until every inference worker can answer under this epoch: whatever comes now, it will."""
        instances = [self.names.worker("inference", name.rpartition("-")[2]) for name in self.inference]

        def reached(view: View) -> bool:
            beats = [view.ledger.workers.beats.get(instance) for instance in instances]
            return all(beat is not None and beat.worker.live_epoch >= epoch for beat in beats)

        self.view.wait(f"every worker to reach epoch {epoch}", reached, timeout_s)

    def wait_cut(self, epoch: int, timeout_s: float = 60.0) -> dict[int, int]:
        """Wait until every partition was cut over to the epoch; needs load on all. Each partition's first offset."""
        cuts = self.view.wait(
            f"every partition to be cut over to epoch {epoch}",
            lambda view: found if len(found := view.ledger.cutovers.to_epoch(epoch)) == self.spec.partitions else None,
            timeout_s,
        )
        return {partition: cut.first_offset for partition, cut in sorted(cuts.items())}

    def wait_answering(self, name: str, since_ms: int, timeout_s: float = 60.0) -> None:
        """Wait until an inference worker has reported, after that moment, that it has partitions and none waits."""
        instance = self.names.worker("inference", name.rpartition("-")[2])

        def answering(view: View) -> bool | None:
            beat = view.ledger.workers.beats.get(instance)
            if beat is None or beat.timestamp_ms <= since_ms:
                return None
            return bool(beat.worker.partitions) and not any(at.held for at in beat.worker.partitions)

        self.view.wait(f"{name} to answer", answering, timeout_s)

    def wait_beating(self, service: str, since_ms: int, timeout_s: float = 60.0) -> None:
        """Wait until slot 0 of that service has reported after that moment."""
        instance = self.names.worker(service, "0")

        def beating(view: View) -> bool:
            beat = view.ledger.workers.beats.get(instance)
            return beat is not None and beat.timestamp_ms > since_ms and bool(beat.worker.partitions)

        self.view.wait(f"{service} to be back", beating, timeout_s)

    def ask(self, action: Asked, version: str = "", text: str = "", timeout_s: float = 60.0) -> Decision:
        """Publish a command and wait for its decision."""
        asked = commands.command(self.spec.pipeline, action, expires_ms=_EXPIRY_MS, version=version, text=text)
        return commands.ask(self.producer, self.view, asked, timeout_s)

    def wait_drained(self, timeout_s: float = 120.0) -> None:
        """Wait until ingestion and inference have answered all that is there now."""
        self._wait_caught_up(ANSWERING, timeout_s)

    def wait_evaluated(self, timeout_s: float = 120.0) -> None:
        """Wait until drift has joined all answers and labels that are there now, and has evaluated and watched them."""
        self._wait_caught_up(JUDGING, timeout_s)

    def _wait_caught_up(self, readers: Sequence[tuple[str, str]], timeout_s: float) -> None:
        for service, role in readers:
            self.view.wait(f"{service} to catch up with {role}", partial(self._drained, service, role), timeout_s)

    def _drained(self, service: str, role: str, _view: View) -> bool | None:
        return self.unread(service, role) == 0 or None

    def committed(self, service: str, role: str) -> Mapping[int, Committed]:
        """Committed offsets of a service's group, by partition."""
        return self.admin.committed(self.names.group(service), self.names.topic(role))

    def unread(self, service: str, role: str) -> int:
        """Records that the service has not committed past yet. Reads them: ends would count transaction markers too.

        A transaction that still hides records counts as one: its offsets may be visible before its records are.
        """
        committed, spans = self.committed(service, role), self.bus.spans(role)
        starts = {
            Place(role, partition): committed[partition].offset if partition in committed else span.low
            for partition, span in spans.items()
        }
        return sum(span.open for span in spans.values()) + sum(map(len, everything(self.bus, role, starts)))

    def forget_rights(self) -> None:
        """Take back the rights that `apply` has granted."""
        if self._logins.ours is not None:
            self.admin.revoke(self._rights())

    def close(self) -> None:
        """Stop all services, in order, and free the clients."""
        self.supervisor.stop_all()
        if self._view is not None:
            self._view.close()
        self.producer.close()
