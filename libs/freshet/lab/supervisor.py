"""Runs service processes and restarts them in place, as Kubernetes would, for demos and fault runs."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from freshet.operate.operate_error import LocalError

_CHILD_GUARD: Final = str(Path(__file__).with_name("child_guard.py"))
_QUICK_DEATH_S: Final = 5.0
_BACKOFF_FIRST_S: Final = 0.05
_BACKOFF_MAX_S: Final = 5.0


def backoff_s(quick_deaths: int) -> float:
    """How long to wait before a restart, after this many deaths in a row that each came within 5 s of a start.

    The first costs no wait: a process killed once is back at once. Then 0.05 s, doubling up to 5 s.
    """
    if quick_deaths <= 1:
        return 0.0
    return min(_BACKOFF_FIRST_S * 2.0 ** min(quick_deaths - 2, 30), _BACKOFF_MAX_S)


class Supervisor:
    """Starts processes by name, and starts again each that is killed or exits with an error.

    One that exits with 0 has finished and stays down. Output goes to `<logs>/<name>.log`, and each restart leaves
    a line there that says why. Ctrl-C in the terminal reaches only us, so that our caller decides how to stop.
    The processes end with us: by `stop_all`, which leaving the context calls, and on Linux even if we are killed.
    All methods may be called from any thread.
    """

    def __init__(self, logs: Path, *, final: Collection[int] = ()) -> None:
        """`final` are exit codes that no restart can mend: who exits with one stays down."""
        self._logs = logs
        self._final = frozenset({0, *final})
        self._services: dict[str, _Service] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_all()

    def start(self, name: str, argv: Sequence[str], env: Mapping[str, str]) -> None:
        """Start a process; `env` is added to our own environment. Returns when it has been started.

        Raises LocalError if there is no such program, or if one of this name runs; one that has finished or was
        stopped gives its name free.
        """
        environment = {**os.environ, **env}
        if shutil.which(argv[0], path=environment.get("PATH")) is None:
            raise LocalError(f"cannot start {name}: there is no program {argv[0]!r}; install it or correct its path")
        self._logs.mkdir(parents=True, exist_ok=True)
        with self._lock:
            old = self._services.get(name)
            if old and not old.ended:
                raise LocalError(f"{name} is already running (process {old.pid}); stop it first")
            self._services[name] = _Service(name, argv, environment, self._logs / f"{name}.log", self._final)

    def pid(self, name: str) -> int | None:
        """The process that runs now; None between a death and its restart, and after the end."""
        return self._service(name).pid

    def restarts(self, name: str) -> int:
        """How often it was started again since `start`."""
        return self._service(name).restarts

    def ended_with(self, name: str) -> int | None:
        """The exit code with which it has ended for good; None while it runs, or is about to be started again."""
        return self._service(name).ended_with

    def kill(self, name: str) -> int:
        """SIGKILL, as a crash would; the restart follows by itself. Returns the pid that was killed.

        Raises LocalError if no process runs at this moment.
        """
        return self._service(name).kill()

    def stop(self, name: str, timeout_s: float = 30.0) -> None:
        """SIGTERM, wait, then SIGKILL after `timeout_s`; returns when it has ended and will not come back."""
        self._service(name).stop(time.monotonic() + timeout_s)

    def stop_all(self, timeout_s: float = 30.0) -> None:
        """`stop` for all at the same time; does nothing for those that have ended."""
        deadline = time.monotonic() + timeout_s
        with self._lock:
            services = list(self._services.values())
        for service in services:
            service.request_stop()
        for service in services:
            service.stop(deadline)

    def _service(self, name: str) -> "_Service":
        with self._lock:
            if name not in self._services:
                raise LocalError(f"no process is called {name!r}; there are: {', '.join(self._services) or 'none'}")
            return self._services[name]


class _Service:
    """One name: a thread that starts its process, waits for it, and starts it again.

    The thread that starts a process stays until it has ended, because Linux takes the end of that thread for the
    end of the parent (see `child_guard`).
    """

    def __init__(
        self, name: str, argv: Sequence[str], env: Mapping[str, str], log: Path, final: frozenset[int]
    ) -> None:
        self._name, self._env, self._log, self._final = name, env, log, final
        self.ended_with: int | None = None
        self._command = [sys.executable, "-I", "-S", _CHILD_GUARD, str(os.getpid()), *argv]
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0
        self._stopping = threading.Event()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), name=f"supervise-{name}", daemon=True)
        self._thread.start()
        started.wait()

    @property
    def pid(self) -> int | None:
        with self._lock:
            return self._process.pid if self._process else None

    @property
    def restarts(self) -> int:
        with self._lock:
            return self._starts - 1

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    def kill(self) -> int:
        with self._lock:
            if self._process is None:
                raise LocalError(f"{self._name} has no process at this moment; {self._log} tells why")
            self._process.kill()
            return self._process.pid

    def request_stop(self) -> None:
        with self._lock:
            if not self._stopping.is_set() and self._process:
                self._process.terminate()
            self._stopping.set()

    def stop(self, deadline: float) -> None:
        """Stop by `deadline` on the monotonic clock, by force if need be."""
        self.request_stop()
        self._thread.join(max(0.0, deadline - time.monotonic()))
        with self._lock:
            if self._process:
                self._process.kill()
        self._thread.join()

    def _run(self, started: threading.Event) -> None:
        quick_deaths = 0
        while (process := self._spawn(started)) is not None:
            began = time.monotonic()
            exit_code = process.wait()
            with self._lock:
                self._process = None
            if exit_code in self._final or self._stopping.is_set():
                self.ended_with = exit_code
                return
            lived_s = time.monotonic() - began
            quick_deaths = quick_deaths + 1 if lived_s < _QUICK_DEATH_S else 1
            wait_s = backoff_s(quick_deaths)
            self._note(f"{_ending(exit_code)} after {lived_s:.1f} s; starting it again in {wait_s:g} s")
            self._stopping.wait(wait_s)

    def _spawn(self, started: threading.Event) -> subprocess.Popen[bytes] | None:
        """Start the process, unless we are to stop."""
        try:
            with self._lock, self._log.open("ab") as log:
                if self._stopping.is_set():
                    return None
                self._process = subprocess.Popen(
                    self._command,
                    env=self._env,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
                self._starts += 1
                return self._process
        finally:
            started.set()

    def _note(self, what: str) -> None:
        with self._log.open("a") as log:
            log.write(f"supervisor: {self._name} {what}\n")


def _ending(exit_code: int) -> str:
    if exit_code < 0:
        return f"was killed by signal {-exit_code} ({signal.strsignal(-exit_code)})"
    return f"exited with {exit_code}"
