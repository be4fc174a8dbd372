"""The services of some pipelines from their start to their end, in one terminal."""

import shlex
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from freshet.contracts.topic_table import TopicNames
from freshet.lab.supervisor import Supervisor
from freshet.lab.up.merged_log import MergedLog, sentence
from freshet.lab.up.services import Planned, Services
from freshet.operate.connection import Connection, settings_for
from freshet.operate.facts import ledger_of
from freshet.operate.operate_error import OperateError
from freshet.pipeline import PipelineSpec
from freshet.pipeline.near_folders import did_you_mean
from freshet.runtime.process import EXIT_SETTINGS
from freshet.runtime.settings import SettingsError
from freshet.runtime.slot import hold_slot

_TURN_S: Final = 0.2
_TELL_S: Final = 20.0
_LOCK_S: Final = 2.0
_RIVALRY: Final = 3


def pipeline_folders(folder: Path) -> list[Path]:
    """The folder if it is a pipeline's, else those in it; raises OperateError if there is none."""
    if (folder / "pipeline.yaml").is_file():
        return [folder]
    found = sorted(path.parent for path in folder.glob("*/pipeline.yaml"))
    if not found:
        raise OperateError(
            f"{folder} holds no pipeline.yaml, and no folder with one.{did_you_mean(folder)} "
            "`freshet pipeline new NAME` writes a first one.",
            "usage",
        )
    return found


class Run:
    """From the start of the services to their end."""

    def __init__(
        self,
        connection: Connection,
        specs: Sequence[PipelineSpec],
        planned: Sequence[Planned],
        owners: Sequence[str],
        show: Callable[[str], object],
        *,
        verbose: bool,
    ) -> None:
        """`owners` are those of the planned of which there is one for all pipelines; `show` takes the services' log
        lines, and the lines that say what can be done now.
        """
        self._show, self._say = show, connection.say
        self._connection, self._specs, self._planned = connection, specs, planned
        self._unowned, self._owned = list(owners), list[str]()
        self._settings = settings_for(connection.bootstrap_servers, namespace=connection.namespace)
        logs = Path(".local/logs") / f"up.{connection.namespace}{specs[0].pipeline}"
        env = {"KAFKA_BOOTSTRAP_SERVERS": connection.bootstrap_servers, "FRESHET_NAMESPACE": connection.namespace}
        self._services = Services(Supervisor(logs, final={EXIT_SETTINGS}), planned, env)
        self._log = MergedLog(logs, [one.name for one in planned], show, verbose=verbose)
        if not verbose:
            self._say(
                f"starts, decisions, warnings and errors are shown here; everything is in {logs} (--verbose shows it)"
            )
        self._stop, self._hurry = threading.Event(), threading.Event()
        self._locks: list[IO[str] | None] = []
        self._next_lock_s = self._next_tell_s = 0.0
        self._told_rivals = set[str]()

    def until_stopped(self) -> None:
        """Start everything, show what it says, return on SIGINT, SIGTERM or as the terminal is closed.

        Raises OperateError if one cannot run.
        """
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGTERM, self._on_signal)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(signal.SIGHUP, self._on_signal)
        for one in self._planned:
            if one.name not in self._unowned:
                self._services.start(one.name)
        ready = False
        self._next_tell_s = time.monotonic() + _TELL_S
        while not self._stop.wait(_TURN_S):
            self._own()
            self._log.pump()
            if (ended := self._services.unmendable()) is not None:
                time.sleep(_TURN_S)  # its last line
                self._log.pump()
                raise OperateError(f"{ended[0]}: {sentence(self._log.last.get(ended[0], ''))}", "usage")
            ready = ready or self._told_ready()
            self._look_for_rivals()

    def stop(self) -> None:
        """End all services in order, and wait; a second signal kills."""
        self._stop.set()  # whatever it was that ended the run: from now on a signal means hurry
        with suppress(OSError):  # the terminal may be gone
            self._say("stopping; Ctrl-C once more kills")
        self._services.stop(self._hurry)
        with suppress(OSError):
            self._log.pump()
        for lock in filter(None, self._locks):
            lock.close()

    def _on_signal(self, *_: object) -> None:
        (self._hurry if self._stop.is_set() else self._stop).set()

    def _own(self) -> None:
        """Start those of which there is one, or if another `freshet up` of this folder runs it, when that ends."""
        if time.monotonic() < self._next_lock_s:
            return
        for name in list(self._unowned):
            identity = TopicNames(self._settings.namespace).transactional_id(name, "owner")
            try:
                self._locks.append(hold_slot(self._settings.state_dir, identity, "owner"))
            except SettingsError:
                if not self._next_lock_s:
                    self._say(f"another process of this folder runs the {name}: this one starts none until that ends.")
                continue
            self._unowned.remove(name)
            self._owned.append(name)
            self._services.start(name)
        self._next_lock_s = time.monotonic() + _LOCK_S

    def _look_for_rivals(self) -> None:
        for name in self._owned:
            if name not in self._told_rivals and self._services.restarts(name) >= _RIVALRY:
                self._told_rivals.add(name)
                self._say(
                    f"the {name} came back {_RIVALRY} times. If its log says that it was fenced, another one runs "
                    f"on this Kafka, and they take turns: stop one of them, or use --no-registry here."
                )

    def _told_ready(self) -> bool:
        waiting = self._services.waiting()
        if not waiting:
            running = started(self._planned, self._unowned)
            self._show(ready(self._connection, self._specs, running, self._settings.builder_key))
            return True
        if time.monotonic() > self._next_tell_s:
            self._next_tell_s = time.monotonic() + _TELL_S
            self._say("not ready yet: " + "; ".join(f"{name}: {why}" for name, why in waiting.items()))
        return False


def started(planned: Sequence[Planned], unowned: Sequence[str]) -> list[Planned]:
    """Those of the planned that this `freshet up` runs: what another one runs has another address."""
    return [one for one in planned if one.name not in unowned]


def ready(
    connection: Connection, specs: Sequence[PipelineSpec], planned: Sequence[Planned], builder_key: Path | None
) -> str:
    """What a person can do now, with the commands to type; models of a pipeline that demands it are signed."""
    served = set[str]()
    with suppress(Exception):  # a broker's hiccup must not end what runs
        served = {one.name for one in ledger_of(connection.bus(), "rollouts") if one.epochs.serving}
    lines = [""]
    for spec in specs:
        name = spec.pipeline
        names = connection.names(name)
        lines.append(
            f"ready: publish events to topic {names.topic('events')}; predictions on {names.topic('predictions')}"
        )
        options = f"--pipeline {name}" + (f" --namespace {connection.namespace}" if connection.namespace else "")
        if name not in served:
            key = f" --key {shlex.quote(str(builder_key or 'BUILDER.pem'))}" if spec.trust == "required" else ""
            lines += [
                "  no model answers yet: events wait. In another terminal:",
                f"    freshet model pack MODEL.joblib {options} --sample ROWS.csv -o bundle{key}",
                "    freshet model publish bundle",
            ]
        lines += [
            f"    freshet predict ROW.json {options}",
            f"    freshet replay ROWS.csv {options}",
            f"    freshet topic tail predictions {options} -n 3",
            f"    freshet model status {options}",
        ]
    lines += [
        f"health and metrics: {', '.join(f'{one.name} {one.address}' for one in planned)}",
        "Ctrl-C ends all.",
        "",
    ]
    return "\n".join(lines)
