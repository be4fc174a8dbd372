"""A process that imports one of our modules, does all of its work once on made-up data, and then forks children of it.

It reads one byte and four descriptors from a socket for each child: standard input, output and errors, and a socket on
which it sends back a handle of the child, and at the end the code that it ended with. A child runs the module's `main`,
which locks it down before it touches what it is given; here nothing is ever judged. It ends when the socket does, and
its children with it.
"""

import importlib
import os
import selectors
import socket
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Final, NoReturn

from freshet.models.confine import hide_secrets

FORK: Final = b"f"
RETIRE: Final = b"r"
UNFORKABLE: Final = 3
"""The exit code of a process that cannot be forked: the module, or a library of it, has started threads."""
_TASKS: Final = Path("/proc/self/task")
_DESCRIPTORS: Final = 4096
"""More than are ever open here."""


class _Nursery:
    """Children, by their handles, with the sockets on which their ends are told."""

    def __init__(self, module: ModuleType, control: socket.socket) -> None:
        self._module, self._control = module, control
        self._ready = selectors.DefaultSelector()
        self._ready.register(control, selectors.EVENT_READ)
        self._children: dict[int, tuple[int, socket.socket]] = {}

    def run(self) -> None:
        """Until nobody is there any more who asks; or, once it is told to retire, until the last child has ended."""
        retired = False
        while not retired or self._children:
            for key, _ in self._ready.select():
                if key.fileobj is not self._control:
                    self._bury(key.fd)
                    continue
                asked, given, _, _ = socket.recv_fds(self._control, 1, 4)
                if not asked:
                    return
                if asked == FORK:
                    self._fork(given)
                retired = retired or asked == RETIRE

    def _fork(self, given: list[int]) -> None:
        *streams, told = given
        word = socket.socket(fileno=told)
        pid = os.fork()
        if pid == 0:
            self._become(streams)
        handle = os.pidfd_open(pid)
        socket.send_fds(word, [b"c"], [handle])
        for stream in streams:
            os.close(stream)
        self._children[handle] = (pid, word)
        self._ready.register(handle, selectors.EVENT_READ)

    def _become(self, streams: list[int]) -> NoReturn:
        """In the child: have nothing open but its own streams, and do the module's work."""
        code = 1
        try:
            self._ready.close()
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
            # the sockets and handles here live as long as this call, so that none of them closes a number twice
            os.closerange(len(streams), _DESCRIPTORS)
            self._module.main()
            code = 0
        except BaseException:  # whatever it is, it must not go on as the server
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(code)

    def _bury(self, handle: int) -> None:
        self._ready.unregister(handle)
        pid, word = self._children.pop(handle)
        _, status = os.waitpid(pid, 0)
        with word:
            try:
                word.send(str(os.waitstatus_to_exitcode(status)).encode())
            except OSError:  # nobody waits for it any more
                return
            finally:
                os.close(handle)


def main() -> None:
    """Serve: the arguments are a module and the number of the socket."""
    hide_secrets()  # a child is of our user: it must not look into us, from where others will come
    module = importlib.import_module(sys.argv[1])
    module.rehearse()
    os.close(os.pidfd_open(os.getpid()))  # a kernel that has none cannot have us either
    if len(list(_TASKS.iterdir())) > 1:
        sys.exit(UNFORKABLE)
    with socket.socket(fileno=int(sys.argv[2])) as control:
        _Nursery(module, control).run()


if __name__ == "__main__":
    main()
