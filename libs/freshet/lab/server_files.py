"""The files that a broker of one node or of three is started from, and the command that starts it."""

import base64
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from freshet.lab.credentials import NODE, Credentials, write_private
from freshet.operate.broker_record import ADMIN, LOOPBACK, record_of

READY_LINE: Final = "Kafka Server started"

_JVM: Final = (
    "-Xms64m",  # it grows where there is load; 256 MB from the start cost 60 MB at rest
    "-XX:+UseSerialGC",  # one node on a laptop: a small, quick collector and compiler, no threads to spare
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
)

_HEAP_MB: Final = {1: 512, 3: 256}
"""By how many brokers there are: how much memory each may have for its objects."""

_SESSION_MS: Final = {1: 3_000, 3: 9_000}
"""By how many brokers there are. One waits so long for itself at its start after a crash. Of three, each is held for
dead that does not come to say a word in this time, as on a busy laptop: Kafka's own default."""

_SERVER_PROPERTIES: Final = """\
# Written by `freshet local up`; edits are overwritten. Broker and controller in one process.
process.roles=broker,controller
node.id={node}
{quorum}
listeners={door}://{loopback}:{client_port},CONTROLLER://{loopback}:{controller_port}
advertised.listeners={door}://{loopback}:{client_port},CONTROLLER://{loopback}:{controller_port}
listener.security.protocol.map={door}:{door},CONTROLLER:{controller_protocol}
inter.broker.listener.name={door}
controller.listener.names=CONTROLLER
log.dirs={data}
# Each record on every broker, and acknowledged once most of them have it.
default.replication.factor={replicas}
min.insync.replicas={in_sync}
offsets.topic.replication.factor={replicas}
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={in_sync}
share.coordinator.state.topic.replication.factor={replicas}
share.coordinator.state.topic.min.isr={in_sync}
# Small and quick: the defaults are 50 partitions each and a cleaner buffer of 128 MB.
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=4
log.cleaner.threads=1
log.cleaner.dedupe.buffer.size=2097152
# A killed producer's open transaction hides everyone's later rows until this sweep finds it; the default is 10 s.
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
# For so long the controller believes in a broker that has died; 9 s by default.
broker.session.timeout.ms={session_ms}
broker.heartbeat.interval.ms=500
# Records without content, by which followers of a controller measure their lag: here is none. The default is 500.
metadata.max.idle.interval.ms=5000
# A misspelt topic is an error, not a new topic.
auto.create.topics.enable=false
"""

_SECURED: Final = """\
# TLS, passwords, and no right that is not granted. The node comes to its own controller with its certificate.
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:{admin};User:{node}
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule \
required username="{admin}" password="{password}";
ssl.keystore.type=PKCS12
ssl.keystore.location={key_store}
ssl.keystore.password={store_password}
ssl.truststore.type=PEM
ssl.truststore.location={certificate}
listener.name.controller.ssl.client.auth=required
"""

_LOG4J2_PROPERTIES: Final = f"""\
# Written by `freshet local up`; edits are overwritten. Warnings, and the line "{READY_LINE}".
rootLogger.level=warn
rootLogger.appenderRef.console.ref=console
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{{ISO8601}} %p %m (%c)%n%throwable
logger.ready.name=kafka.server.KafkaRaftServer
logger.ready.level=info
"""


@dataclass(frozen=True, slots=True)
class StateFolder:
    """Where a broker keeps everything: `<root>/.local/kafka`, and of several all but the first in a folder therein.

    Absolute: the broker runs elsewhere.
    """

    path: Path
    node: int = 1

    @classmethod
    def of(cls, root: Path, node: int = 1) -> "StateFolder":
        return cls(record_of(root).parent, node)

    @property
    def root(self) -> Path:
        return self.path.parents[1]

    @property
    def own(self) -> Path:
        """What belongs to this broker alone."""
        return self.path if self.node == 1 else self.path / f"broker-{self.node}"

    @property
    def data(self) -> Path:
        return self.own / "data"

    @property
    def properties(self) -> Path:
        return self.own / "server.properties"

    @property
    def format_arguments(self) -> Path:
        """Arguments that hold a password, so that they stand in a file: `ps` shows the others to everybody."""
        return self.path / "secured" / "format-arguments"

    @property
    def log4j2(self) -> Path:
        return self.own / "log4j2.properties"

    @property
    def log(self) -> Path:
        return self.own / "broker.log"

    @property
    def endpoint(self) -> Path:
        return self.path / "endpoint.json"

    @property
    def lock(self) -> Path:
        return self.path.with_name("kafka.lock")  # beside the folder, as `wipe` deletes the folder

    @property
    def formatted(self) -> bool:
        return (self.data / "meta.properties").exists()

    @property
    def cluster(self) -> str | None:
        """The id of the cluster that the data were formatted for; None if there are none."""
        lines = (self.data / "meta.properties").read_text().splitlines() if self.formatted else []
        return next((line.partition("=")[2] for line in lines if line.startswith("cluster.id=")), None)

    @property
    def formatted_by(self) -> str | None:
        """The Kafka that formatted the data; None if there are none, '' if it left no note."""
        if not self.formatted:
            return None
        note = self._release_note
        return note.read_text().strip() if note.exists() else ""

    def note_release(self, kafka: str) -> None:
        """Say which Kafka formats the data. Kafka itself notes only the layout, which has not changed for years."""
        self._release_note.write_text(f"{kafka}\n")

    @property
    def _release_note(self) -> Path:
        return self.own / "formatted-by"


@dataclass(frozen=True, slots=True)
class Launch:
    """All that one start of a broker needs to know."""

    state: StateFolder
    client_port: int
    controller_port: int
    new_cluster: str
    """The cluster id to format with, should the data folder be new."""
    credentials: Credentials | None = None
    """Of a secured broker."""
    quorum: tuple[int, ...] = ()
    """The controller ports of all brokers, if there are several."""

    def write_settings(self) -> None:
        """Write both settings files."""
        self.state.data.mkdir(parents=True, exist_ok=True)
        self.state.log4j2.write_text(_LOG4J2_PROPERTIES)
        door, controller_protocol = ("SASL_SSL", "SSL") if self.credentials else ("PLAINTEXT", "PLAINTEXT")
        settings = _SERVER_PROPERTIES.format(
            node=self.state.node,
            quorum=self._quorum(),
            replicas=self._brokers,
            in_sync=self._brokers // 2 + 1,
            session_ms=_SESSION_MS[self._brokers],
            loopback=LOOPBACK,
            door=door,
            controller_protocol=controller_protocol,
            client_port=self.client_port,
            controller_port=self.controller_port,
            data=self.state.data,
        )
        if self.credentials:
            settings += _secured(self.credentials)
            if not self.state.formatted:
                write_private(self.state.format_arguments, _first_user(self.credentials))
        write_private(self.state.properties, settings)

    def script(self, java: str, class_path: str, flags: tuple[str, ...] = ()) -> str:
        """The shell line that becomes the broker; formats the data folder first if that was never done."""
        state = self.state
        common = [java, f"-Xmx{_HEAP_MB[self._brokers]}m", *_JVM, f"-Dlog4j2.configurationFile=file:{state.log4j2}"]
        run = shlex.join([*common, *flags, "-cp", class_path, "kafka.Kafka", str(state.properties)])
        if state.formatted:
            return f"exec {run}"
        alone = [] if self.quorum else ["--standalone"]
        tool = ["kafka.tools.StorageTool", "format", *alone, "--ignore-formatted", "-t", self.new_cluster]
        arguments = [f"@{state.format_arguments}"] if self.credentials else []
        format_it = shlex.join([*common, "-cp", class_path, *tool, "-c", str(state.properties), *arguments])
        return f"{format_it} >/dev/null && exec {run}"  # it prints what passwords can be tried against

    @property
    def _brokers(self) -> int:
        return len(self.quorum) or 1

    def _quorum(self) -> str:
        """How controllers find each other. Several have a fixed list: their ports are then no part of the data."""
        if not self.quorum:
            return f"controller.quorum.bootstrap.servers={LOOPBACK}:{self.controller_port}"
        voters = (f"{node}@{LOOPBACK}:{port}" for node, port in enumerate(self.quorum, start=1))
        return f"controller.quorum.voters={','.join(voters)}"


def _secured(credentials: Credentials) -> str:
    admin = credentials.login(ADMIN)
    return _SECURED.format(
        admin=admin["sasl.username"],
        password=admin["sasl.password"],
        node=NODE,
        key_store=credentials.key_store,
        store_password=credentials.store_password(),
        certificate=credentials.certificate,
    )


def _first_user(credentials: Credentials) -> str:
    """The one who makes the others has to be there before the first start."""
    admin = credentials.login(ADMIN)
    return f"--add-scram\nSCRAM-SHA-512=[name={admin['sasl.username']},password={admin['sasl.password']}]\n"


def cluster_id(random: bytes) -> str:
    """16 random bytes as Kafka writes a cluster id: 22 characters of url-safe base64.

    Made here to save the start of a JVM. Never begins with `-`, which the format command takes for an option.
    """
    assert len(random) == 16
    text = base64.urlsafe_b64encode(random).rstrip(b"=").decode()
    return "A" + text[1:] if text.startswith("-") else text
