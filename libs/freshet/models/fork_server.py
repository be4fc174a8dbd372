"""Children of a process that has imported one of our modules already: a second is saved at the start of each.

This is the parent's side; `forking.py` is what runs in that process. Linux; elsewhere, and wherever no such process can
be had, a child is started in the ordinary way, which does the same.
"""

import contextlib
import errno
import itertools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from freshet.models.confine import hide_secrets
from freshet.models.forking import FORK, RETIRE, UNFORKABLE
from freshet.models.sandbox import ENVIRONMENT, Ending, SandboxError, ending_of, run_child

_FORKS: Final = 100
"""A server is replaced after so many: its children have one layout of memory, which hostile models could learn."""
_START_S: Final = 60.0
_LOOK_S: Final = 0.2
_CHUNK: Final = 1 << 16
_TOO_MANY_FILES: Final = (errno.EMFILE, errno.ENFILE)


class ForkServer:
    """Runs a module of ours in children that are forked, as `run_child` runs it in new processes.

    The server holds no secret, no thread and no open file but a socket to us, and never sees what its children judge:
    that goes from us to them. It is made when it is first needed, and again after it has died. It ends with us. May be
    used by several threads at a time.
    """

    def __init__(self, module: str, settings: Mapping[str, str] | None = None) -> None:
        """`module` has `main` and `rehearse`; `settings` are added to the environment, as for `run_child`."""
        self._module, self._settings = module, dict(settings or {})
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self._unforkable = False
        """Whether the module starts threads: its children are started one by one, and no server is tried again."""

    def start(self) -> None:
        """Have the server ready by the time it is needed. Does not wait for it."""
        with self._lock, contextlib.suppress(OSError):
            self._ready_server()

    def run(
        self, request: Mapping[str, Any], data: bytes, wall_s: float, stopped: Callable[[], bool] = lambda: False
    ) -> Ending:
        """See `run_child`, also for what is raised."""
        for _ in range(2):  # the server that we know of may have died since
            child = self._child()
            if child is not None:
                with child:
                    return child.ending(json.dumps(request).encode() + b"\n" + data, wall_s, stopped)
        return run_child(self._module, request, data, wall_s, stopped, settings=self._settings)

    def close(self) -> None:
        """End the server, and with it children that still run."""
        with self._lock:
            if self._server is not None:
                self._server.close()
            self._server = None

    def __del__(self) -> None:
        """Whoever forgets it needs it no more."""
        self.close()

    def _child(self) -> "_Child | None":
        """A child that waits for its request; None if the server is gone, or cannot be had."""
        with self._lock:
            if self._unforkable:
                return None
            try:
                return self._ready_server().fork()
            except (OSError, EOFError) as error:
                is_ours = isinstance(error, OSError) and error.errno in _TOO_MANY_FILES
                if self._server is not None and not is_ours:
                    self._unforkable = self._server.close() == UNFORKABLE
                    self._server = None
        return None

    def _ready_server(self) -> "_Server":
        if self._server is not None and self._server.forks >= _FORKS:
            self._server.retire()
            self._server = None
        if self._server is None:
            self._server = _Server(self._module, {**ENVIRONMENT, **self._settings})
        return self._server


class _Server:
    """The process, and our end of the socket to it."""

    def __init__(self, module: str, environment: Mapping[str, str]) -> None:
        if sys.platform != "linux":
            raise OSError("only Linux has process descriptors")
        hide_secrets()
        self.forks = 0
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-s", "-P", "-m", "freshet.models.forking", module, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=dict(environment),
                cwd="/",
                pass_fds=[theirs.fileno()],
            )

    def fork(self) -> "_Child":
        """A child. Raises OSError or EOFError if the server is gone."""
        self.forks += 1
        word, theirs = socket.socketpair()
        try:
            (stdin, ours_in), (ours_out, stdout), (ours_errors, stderr) = _pipes(3)
        except OSError:
            word.close()
            theirs.close()
            raise
        child = _Child(ours_in, ours_out, ours_errors, word)
        try:
            with theirs:
                socket.send_fds(self._socket, [FORK], [stdin, stdout, stderr, theirs.fileno()])
        except OSError:
            child.close()
            raise
        finally:
            for end in (stdin, stdout, stderr):
                os.close(end)
        child.meet()
        return child

    def retire(self) -> None:
        """Fork no more; it goes when the last of its children has ended."""

        def wait() -> None:
            self._process.wait()
            self._socket.close()

        self._socket.send(RETIRE)
        threading.Thread(target=wait, name="sandbox", daemon=True).start()

    def close(self) -> int:
        """End it now; the exit code, which is its own if it had ended by itself."""
        self._socket.close()
        self._process.kill()
        return self._process.wait()


def _pipes(count: int) -> list[tuple[int, int]]:
    """So many pipes, or none: there may be too many open files."""
    made: list[tuple[int, int]] = []
    try:
        while len(made) < count:
            made += [os.pipe()]
    except OSError:
        for end in itertools.chain.from_iterable(made):
            os.close(end)
        raise
    return made


class _Child:
    """A child's streams, and a socket on which the server tells of it."""

    def __init__(self, stdin: int, stdout: int, stderr: int, word: socket.socket) -> None:
        self._stdin, self._stdout, self._stderr, self._word = stdin, stdout, stderr, word
        self._said = {stdout: bytearray(), stderr: bytearray(), word.fileno(): bytearray()}
        self._open = {stdin, *self._said}
        self._handle = -1
        os.set_blocking(stdin, False)

    def __enter__(self) -> "_Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def meet(self) -> None:
        """Wait for the child itself. Raises EOFError if the server is gone before, OSError if it takes a minute."""
        self._word.settimeout(_START_S)
        try:
            _, handles, _, _ = socket.recv_fds(self._word, 1, 1)
            if not handles:
                raise EOFError
        except (OSError, EOFError):
            self.close()
            raise
        (self._handle,) = handles

    def ending(self, given: bytes, wall_s: float, stopped: Callable[[], bool]) -> Ending:
        """Feed the child, hear it to its end, or end it; see `run_child`."""
        deadline_s, left = time.monotonic() + wall_s, memoryview(given)
        in_vain = late = False
        while self._open & self._said.keys():
            left = self._exchange(left)
            in_vain = in_vain or stopped()
            late = late or time.monotonic() > deadline_s
            if in_vain or late:
                self._kill()
                if self._word.fileno() not in self._open:
                    break  # it is dead; if its streams are open all the same, somebody else has them
        if in_vain:
            raise SandboxError("the sandbox was ended before its verdict: nobody waits for it any more.")
        out, errors, told = (bytes(self._said[which]) for which in (self._stdout, self._stderr, self._word.fileno()))
        if not told and not late:
            raise SandboxError("the process that starts sandboxes has died, and this one with it: try again.")
        return ending_of(out, errors, None if late else int(told))

    def _exchange(self, left: memoryview) -> memoryview:
        """Write and read what can be, within a moment; what is left to write."""
        writing = self._open & {self._stdin}
        poll = select.poll()  # not select(): a busy service has more than 1,024 files
        for which in self._open:
            poll.register(which, select.POLLOUT if which in writing else select.POLLIN)
        ready = {which for which, _ in poll.poll(_LOOK_S * 1000)}
        for which in ready - writing:
            if found := os.read(which, _CHUNK):
                self._said[which] += found
            else:
                self._shut(which)
        if ready & writing:
            try:
                left = left[os.write(self._stdin, left[:_CHUNK]) :]
            except BrokenPipeError:
                left = left[:0]
            if not left:
                self._shut(self._stdin)
        return left

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def _shut(self, which: int) -> None:
        self._open.discard(which)
        if which != self._word.fileno():  # the socket closes itself
            os.close(which)

    def close(self) -> None:
        """Free everything; a child that still runs is ended."""
        if self._handle >= 0:
            self._kill()
            os.close(self._handle)
            self._handle = -1
        for which in list(self._open):
            self._shut(which)
        self._word.close()
