"""A real single-node Kafka on this machine: up, down, status, wipe; and kill and restart for fault runs.

Everything a broker has lies in `<root>/.local/kafka`; brokers of different roots know nothing of each other. All
functions may be called at any time, twice, and from several processes at once: they take turns by a lock file.
"""

import contextlib
import os
import secrets
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from freshet.lab import choose
from freshet.lab.credentials import Credentials
from freshet.lab.kafka_jars import KAFKA, library
from freshet.lab.ports import free_port, port_is_free
from freshet.lab.processes import end, exclusive, must_end, spawn_detached, wait_ended
from freshet.lab.server_files import LOOPBACK, READY_LINE, Launch, StateFolder, cluster_id
from freshet.operate.broker_record import ADMIN, Endpoint, load, save, start_mark
from freshet.operate.operate_error import LocalError
from freshet.runtime.bus.kafka.grants import KafkaGrants

_READY_WITHIN_S: Final = 90.0  # 2 s on an idle laptop
_STOPPED_WITHIN_S: Final = 30.0
_POLL_S: Final = 0.05
_TAIL_LINES: Final = 15


@dataclass(frozen=True, slots=True)
class Status:
    """What there is under a root.

    `running` and `external` brokers may still not answer; a `crashed` one was running and ended by itself or by
    SIGKILL; a `stopped` one has its data and ports; `absent`: never started, or wiped.
    """

    state: Literal["external", "running", "crashed", "stopped", "absent"]
    endpoint: Endpoint | None
    answers: bool
    data_bytes: int


def up(
    root: Path, *, say: Callable[[str], None], environ: Mapping[str, str] = os.environ, secure: bool = False
) -> Endpoint:
    """The broker of this root, running and answering: the one that already runs, or a new start on its data.

    With KAFKA_BOOTSTRAP_SERVERS set it is the user's Kafka, and nothing is started. A broker keeps its ports over
    crashes and restarts, unless someone else has taken them. With `secure` it asks for TLS, a password and rights; so
    it does from then on, until it is wiped. `say` is told each step that takes time. Raises LocalError if there is
    nothing to run Kafka on, if it does not come up (the message holds its last words), or if it is there already and
    asks for nothing.
    """
    if theirs := choose.external(environ):
        if secure:
            raise LocalError(
                f"--secure is about a broker of this folder, and {choose.BOOTSTRAP_SERVERS} names another: unset it."
            )
        if not theirs.answers:
            raise LocalError(
                f"{choose.BOOTSTRAP_SERVERS} is {theirs.bootstrap_servers!r}, and nothing answers there. Start that "
                "Kafka, correct the variable, or unset it to have a local one started."
            )
        return theirs
    state = StateFolder.of(root)
    for path in (state.path.parent, state.path):
        if path.exists() and not path.is_dir():
            raise LocalError(f"{path} is a file, and Freshet keeps its data in a folder of that name. Move it away.")
    with exclusive(state.lock):
        known = load(state.endpoint)
        credentials = Credentials(state.root)
        if secure and not credentials.made and (state.formatted or known):
            raise LocalError(
                f"the broker of {state.path} was made without --secure. `freshet local wipe` deletes it with its data; "
                "then --secure makes a new one. Or use another folder."
            )
        if known and known.alive:  # perhaps not yet ready: whoever started it may have been interrupted
            return _admitted(_wait_ready(state, known), credentials)
        keep = known and all(port and port_is_free(port) for port in (known.client_port, known.controller_port))
        if known and not keep:
            say(f"port {known.client_port} or {known.controller_port} is in use; the broker moves to new ones")
        started = _start(state, known if keep else None, environ, say=say, secure=secure)
        return _admitted(started, credentials)


def down(root: Path, *, environ: Mapping[str, str] = os.environ) -> bool:
    """Stop the broker of this root in order; its data and ports stay. False if none was running."""
    state = StateFolder.of(root)
    with exclusive(state.lock):
        return _stop(state, environ)


def restart(root: Path, *, say: Callable[[str], None], environ: Mapping[str, str] = os.environ) -> Endpoint:
    """Stop the broker of this root if it runs, and start it on the same ports and data.

    Raises LocalError if there was none, or if its ports are taken: clients that know it must find it again.
    """
    state = StateFolder.of(root)
    with exclusive(state.lock):
        known = _known(state)
        _stop(state, environ)
        return _start(state, known, environ, say=say, secure=False)


def kill(root: Path) -> None:
    """End the broker of this root by SIGKILL, as a crash would; for fault runs. Raises LocalError if none runs."""
    state = StateFolder.of(root)
    with exclusive(state.lock):
        known = _known(state)
        if not known.alive:
            raise LocalError(f"the broker of {state.path} is not running, so it cannot be killed; start it first")
        _kill(known)


def wipe(root: Path, *, environ: Mapping[str, str] = os.environ) -> None:
    """Stop the broker of this root and delete all it has: data, settings, log, ports. Nothing else deletes data."""
    state = StateFolder.of(root)
    with exclusive(state.lock):
        _stop(state, environ)
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
    data_bytes = _disk_bytes(state.data)
    if known.alive:
        return Status("running", known, known.answers, data_bytes)
    return Status("crashed" if known.pid else "stopped", known, False, data_bytes)


def _same(one: str, other: str) -> bool:
    """Whether two addresses are one broker of this machine: the variable may name the one of this folder."""
    return one.replace("localhost", "127.0.0.1") == other.replace("localhost", "127.0.0.1")


def _known(state: StateFolder) -> Endpoint:
    known = load(state.endpoint)
    if known is None:
        raise LocalError(f"there is no broker in {state.path}; start one first")
    return known


def _start(
    state: StateFolder, known: Endpoint | None, environ: Mapping[str, str], *, say: Callable[[str], None], secure: bool
) -> Endpoint:
    """Start a broker and wait for it; on the ports of `known` if given. A secured one stays so, whatever is said."""
    _refuse_data_of_another_release(state)
    engine = choose.engine(environ, say=say)
    credentials = Credentials(state.root)
    if secure or credentials.made:
        credentials.make(engine.java.executable)
    launch = Launch(
        state,
        client_port=(known and known.client_port) or free_port(),
        controller_port=(known and known.controller_port) or free_port(),
        new_cluster=cluster_id(secrets.token_bytes(16)),
        credentials=credentials if credentials.made else None,
    )
    bootstrap_servers = f"{LOOPBACK}:{launch.client_port}"
    say(f"starting Kafka {KAFKA} on {bootstrap_servers}")
    launch.write_settings()
    if not state.formatted:
        state.note_release(
            KAFKA
        )  # before it is done: a note without data says nothing, data without a note are refused
    pid, mark = _spawn(launch, engine)
    endpoint = Endpoint(
        kind="java",
        bootstrap_servers=bootstrap_servers,
        client_port=launch.client_port,
        controller_port=launch.controller_port,
        pid=pid,
        started=mark,
    )
    save(state.endpoint, endpoint)  # before it is ready: if we are interrupted now, the next call finds it
    return _wait_ready(state, endpoint)


def _admitted(endpoint: Endpoint, credentials: Credentials) -> Endpoint:
    """On a secured broker, let each principal log in: also one that is new since its first start."""
    if credentials.made:
        admin = KafkaGrants(endpoint.bootstrap_servers, extra=credentials.login(ADMIN))
        admin.set_passwords(credentials.passwords())
    return endpoint


def _refuse_data_of_another_release(state: StateFolder) -> None:
    by = state.formatted_by
    if by not in (None, KAFKA):
        formatter = f"Kafka {by}" if by else "another Kafka (4.3.1 or older)"
        raise LocalError(
            f"the data in {state.data} were formatted by {formatter}, and Kafka {KAFKA}, which starts here, may not be "
            "able to read them: `freshet local wipe --yes` deletes them, and `freshet local up` then begins anew."
        )


def _spawn(launch: Launch, engine: choose.Engine) -> tuple[int, str]:
    state = launch.state
    if state.log.exists():
        state.log.replace(state.log.with_name("broker.previous.log"))  # keeps a crash's last words
    pid = spawn_detached(engine.command(launch), log=state.log)
    mark = start_mark(pid)
    if mark is None:
        raise LocalError(_failure(state, "ended at once"))
    return pid, mark


def _wait_ready(state: StateFolder, endpoint: Endpoint) -> Endpoint:
    """Wait until the broker has said that it is started and its port answers."""
    deadline = time.monotonic() + _READY_WITHIN_S
    while not (READY_LINE in _log_text(state) and endpoint.answers):
        if not endpoint.alive:
            raise LocalError(_failure(state, "ended while starting"))
        if time.monotonic() > deadline:
            raise LocalError(_failure(state, f"is not ready after {_READY_WITHIN_S:.0f} s and still runs"))
        time.sleep(_POLL_S)
    return endpoint


def _stop(state: StateFolder, environ: Mapping[str, str]) -> bool:
    known = load(state.endpoint)
    if known is None or known.pid is None or known.started is None:
        return False
    was_alive = known.alive
    end(known.pid, known.started, signal.SIGTERM)
    if not wait_ended(known.pid, known.started, _STOPPED_WITHIN_S):
        _kill(known)
    save(state.endpoint, known.stopped())
    if was_alive:
        _keep_archive(state, library(environ))
    return was_alive


def _kill(known: Endpoint) -> None:
    assert known.pid is not None
    assert known.started is not None
    end(known.pid, known.started, signal.SIGKILL)
    must_end(known.pid, known.started)


def _keep_archive(state: StateFolder, folder: Path) -> None:
    """Move the class-data archive that an orderly exit has written to the jars, where the next start finds it.

    The JVM does not write it there itself: another broker could be reading the half-written file. One that does
    not fit, or was cut short, costs a JVM that meets it a warning and the time it would have saved.
    """
    for archive in state.path.glob("classes-*.jsa"):
        if folder.is_dir():  # the cache may have been deleted while the broker ran
            scratch = folder / f"{archive.name}.{os.getpid()}"
            shutil.move(archive, scratch)  # perhaps onto another disk, so not yet under its name
            scratch.replace(folder / archive.name)


def _disk_bytes(folder: Path) -> int:
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # a running broker deletes segments while we look
                total += Path(where, name).stat().st_blocks * 512
    return total


def _failure(state: StateFolder, what: str) -> str:
    last = "\n".join(_log_text(state).splitlines()[-_TAIL_LINES:]) or "(it said nothing)"
    return (
        f"the broker of {state.path} {what}. If the words below do not tell why, read {state.log}; "
        f"`freshet local wipe` starts afresh and deletes the broker's data. Its last words:\n{last}"
    )


def _log_text(state: StateFolder) -> str:
    return state.log.read_text(errors="replace") if state.log.exists() else ""
