"""A real Kafka of one broker or of three on this machine: up, down, status, wipe; and kill for fault runs.

Everything it has lies in `<root>/.local/kafka`; those of different roots know nothing of each other. All
functions may be called at any time, twice, and from several processes at once: they take turns by a lock file.
"""

import contextlib
import os
import secrets
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from freshet.lab import choose
from freshet.lab.broker_node import begin, signal_to, wait_killed, wait_ready, wait_stopped
from freshet.lab.credentials import Credentials
from freshet.lab.kafka_jars import KAFKA, library
from freshet.lab.ports import free_port, port_is_free
from freshet.lab.processes import exclusive
from freshet.lab.server_files import Launch, StateFolder, cluster_id
from freshet.operate.broker_record import ADMIN, Endpoint, Node, load, save
from freshet.operate.operate_error import LocalError
from freshet.runtime.bus.kafka.grants import KafkaGrants

COUNTS: Final = (1, 3)
"""How many brokers there may be: with two, neither could go on without the other."""

State = Literal["external", "running", "crashed", "stopped", "absent"]


@dataclass(frozen=True, slots=True)
class Status:
    """What there is under a root.

    `running`: at least one broker runs, and `external` ones are not ours; both may still not answer. `crashed`: none
    runs, and one ended by itself or by SIGKILL. `stopped`: data and ports are there. `absent`: never started, or wiped.
    """

    state: State
    endpoint: Endpoint | None
    answers: bool
    data_bytes: int


def up(
    root: Path,
    *,
    say: Callable[[str], None],
    environ: Mapping[str, str] = os.environ,
    secure: bool = False,
    brokers: int | None = None,
) -> Endpoint:
    """The Kafka of this root, all of its brokers running and answering: those that already run, and a start of others.

    With KAFKA_BOOTSTRAP_SERVERS set it is the user's Kafka, and nothing is started. A broker keeps its data and ports
    over crashes and restarts, unless someone else has taken the ports. With `secure` it asks for TLS, a password and
    rights; with three `brokers`, each record is kept by all and acknowledged by two. Both are chosen at the first
    start and stay until the root is wiped. `say` is told each step that takes time. Raises LocalError if there is
    nothing to run Kafka on, if it does not come up (the message holds its last words), or if it is there already and
    was made otherwise.
    """
    if theirs := choose.external(environ):
        return _theirs(theirs, asked="--secure" if secure else "--brokers" if brokers else "")
    state = StateFolder.of(root)
    for path in (state.path.parent, state.path):
        if path.exists() and not path.is_dir():
            raise LocalError(f"{path} is a file, and Freshet keeps its data in a folder of that name. Move it away.")
    with exclusive(state.lock):
        known = load(state.endpoint)
        made = len(known.nodes) if known else _formatted(state)
        _refuse_another_kind(state, made, secure=secure, brokers=brokers)
        endpoint = _placed(known, made or brokers or 1, say)
        if not all(node.alive for node in endpoint.nodes):
            endpoint = _start(state, endpoint, environ, say=say, secure=secure)
        for number, node in enumerate(endpoint.nodes, start=1):  # whoever started it may have been interrupted
            wait_ready(StateFolder.of(root, number), node)
        return _admitted(endpoint, Credentials(state.root))


def down(root: Path, *, environ: Mapping[str, str] = os.environ, broker: int | None = None) -> bool:
    """Stop the brokers of this root in order, or one of them; data and ports stay. False if none was running.

    Raises LocalError if there is no broker of that number.
    """
    state = StateFolder.of(root)
    with exclusive(state.lock):
        return _stop(state, environ, broker)


def kill(root: Path, *, broker: int | None = None) -> None:
    """End all brokers of this root at once by SIGKILL, as a crash would, or one of them; for fault runs.

    Raises LocalError if none of them runs.
    """
    state = StateFolder.of(root)
    with exclusive(state.lock):
        known = load(state.endpoint)
        if known is None:
            raise LocalError(f"there is no broker in {state.path}; start one first")
        running = [known.nodes[number - 1] for number in _numbers(state, known, broker)]
        running = [node for node in running if node.alive]
        if not running:
            raise LocalError(f"the broker of {state.path} is not running, so it cannot be killed; start it first")
        for act in (lambda node: signal_to(node, signal.SIGKILL), wait_killed):
            for node in running:
                act(node)


def wipe(root: Path, *, environ: Mapping[str, str] = os.environ) -> None:
    """Stop the brokers of this root and delete all they have: data, settings, log, ports. Nothing else deletes data."""
    state = StateFolder.of(root)
    with exclusive(state.lock):
        _stop(state, environ, None)
        if state.path.exists():
            shutil.rmtree(state.path)


def status(root: Path, *, environ: Mapping[str, str] = os.environ) -> Status:
    """What there is under this root now; changes nothing and waits for nobody."""
    state = StateFolder.of(root)
    known, theirs = load(state.endpoint), choose.external(environ)
    if theirs and not (known and _same(known.bootstrap_servers, theirs.bootstrap_servers)):
        return Status("external", theirs, theirs.answers, 0)
    if known is None:
        return Status("absent", None, False, 0)
    states = {node.state for node in known.nodes}
    found: State = "running" if "running" in states else "crashed" if "crashed" in states else "stopped"
    folders = [StateFolder.of(root, number).data for number in range(1, len(known.nodes) + 1)]
    return Status(found, known, found == "running" and known.answers, sum(map(_disk_bytes, folders)))


def _same(one: str, other: str) -> bool:
    """Whether two addresses are one Kafka of this machine: the variable may name the one of this folder."""
    return one.replace("localhost", "127.0.0.1") == other.replace("localhost", "127.0.0.1")


def _theirs(endpoint: Endpoint, asked: str) -> Endpoint:
    if asked:
        raise LocalError(
            f"{asked} is about a broker of this folder, and {choose.BOOTSTRAP_SERVERS} names another: unset it."
        )
    if not endpoint.answers:
        raise LocalError(
            f"{choose.BOOTSTRAP_SERVERS} is {endpoint.bootstrap_servers!r}, and nothing answers there. Start that "
            "Kafka, correct the variable, or unset it to have a local one started."
        )
    return endpoint


def _formatted(state: StateFolder) -> int:
    """How many brokers a folder has data of, where no record tells."""
    return 1 + len([*state.path.glob("broker-*/data/meta.properties")]) if state.formatted else 0


def _refuse_another_kind(state: StateFolder, made: int, *, secure: bool, brokers: int | None) -> None:
    if brokers is not None and brokers not in COUNTS:
        raise LocalError(
            f"--brokers is 1 or 3, not {brokers}: two stop when either is lost, and three are enough to try that out."
        )
    if made and brokers not in (None, made):
        raise LocalError(
            f"the Kafka of {state.path} was made of {made} broker{'s' if made > 1 else ''}. `freshet local wipe` "
            f"deletes it with its data; then --brokers {brokers} makes a new one. Or use another folder."
        )
    if made and secure and not Credentials(state.root).made:
        raise LocalError(
            f"the broker of {state.path} was made without --secure. `freshet local wipe` deletes it with its data; "
            "then --secure makes a new one. Or use another folder."
        )


def _placed(known: Endpoint | None, brokers: int, say: Callable[[str], None]) -> Endpoint:
    """Ports for all brokers: those that they had, as far as nobody else has taken them."""
    nodes = [*known.nodes] if known else []
    for at, node in enumerate(nodes):
        if node.alive or (port_is_free(node.client_port) and port_is_free(node.controller_port)):
            continue
        if any(other.alive for other in nodes):
            raise LocalError(
                f"broker {at + 1} cannot start: its port {node.client_port} or {node.controller_port} is in use, and "
                "the others know it there. Free the port; or `freshet local down` and `up` move it to a new one."
            )
        say(f"port {node.client_port} or {node.controller_port} is in use; the broker moves to new ones")
        nodes[at] = _at_free_ports()
    nodes += [_at_free_ports() for _ in range(brokers - len(nodes))]
    return _endpoint(nodes)


def _at_free_ports() -> Node:
    return Node(client_port=free_port(), controller_port=free_port())


def _endpoint(nodes: list[Node]) -> Endpoint:
    return Endpoint(kind="java", bootstrap_servers=",".join(node.address for node in nodes), nodes=tuple(nodes))


def _start(
    state: StateFolder, endpoint: Endpoint, environ: Mapping[str, str], *, say: Callable[[str], None], secure: bool
) -> Endpoint:
    """Start those that do not run; `wait_ready` waits for them. A secured one stays so, whatever is said."""
    engine = choose.engine(environ, say=say)
    credentials = Credentials(state.root)
    if secure or credentials.made:
        credentials.make(engine.java.executable)
    nodes = [*endpoint.nodes]
    places = [StateFolder(state.path, number) for number in range(1, len(nodes) + 1)]
    cluster = next((place.cluster for place in places if place.cluster), None) or cluster_id(secrets.token_bytes(16))
    state.path.mkdir(parents=True, exist_ok=True)
    for place, node in zip(places, endpoint.nodes, strict=True):
        if node.alive:
            continue
        say(f"starting Kafka {KAFKA} on {node.address}")
        launch = Launch(
            place,
            client_port=node.client_port,
            controller_port=node.controller_port,
            new_cluster=cluster,
            credentials=credentials if credentials.made else None,
            quorum=tuple(one.controller_port for one in nodes) if len(nodes) > 1 else (),
        )
        nodes[place.node - 1] = begin(launch, engine)
        save(state.endpoint, _endpoint(nodes))  # before it is ready: if we are interrupted now, the next call finds it
    return _endpoint(nodes)


def _admitted(endpoint: Endpoint, credentials: Credentials) -> Endpoint:
    """On a secured broker, let each principal log in: also one that is new since its first start."""
    if credentials.made:
        admin = KafkaGrants(endpoint.bootstrap_servers, extra=credentials.login(ADMIN))
        admin.set_passwords(credentials.passwords())
    return endpoint


def _numbers(state: StateFolder, known: Endpoint, broker: int | None) -> list[int]:
    """Those that are meant: all, or the one of this number."""
    numbers = [*range(1, len(known.nodes) + 1)]
    if broker is not None and broker not in numbers:
        raise LocalError(f"there is no broker {broker} in {state.path}: it has {len(numbers)}, from 1 on.")
    return numbers if broker is None else [broker]


def _stop(state: StateFolder, environ: Mapping[str, str], broker: int | None) -> bool:
    known = load(state.endpoint)
    if known is None:
        return False
    nodes, numbers = [*known.nodes], _numbers(state, known, broker)
    were_alive = [number for number in numbers if nodes[number - 1].alive]
    for number in were_alive:  # all first: the last one would wait in vain for controllers that have gone
        signal_to(nodes[number - 1], signal.SIGTERM)
    for number in numbers:
        wait_stopped(StateFolder(state.path, number), nodes[number - 1], library(environ))
        nodes[number - 1] = nodes[number - 1].stopped()
    save(state.endpoint, _endpoint(nodes))
    return bool(were_alive)


def _disk_bytes(folder: Path) -> int:
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # a running broker deletes segments while we look
                total += Path(where, name).stat().st_blocks * 512
    return total
