"""Locks a process down before it touches a stranger's model. Linux; elsewhere it does what it can, and says what not.

Everything here is irreversible and meant for a child process that has one task and then ends. What the system refuses
is returned, not raised: containers differ in what they permit, and the verdict says how well it was guarded.
"""

import ctypes
import json
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable, Iterator
from typing import Final

_LINUX: Final = sys.platform == "linux"
_NOBODY: Final = 65534
_OPEN_FILES: Final = 64
_OF_PROGRAMS: Final = frozenset({"open files", "start processes", "open many files"})

# prctl(2)
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
# unshare(2)
_CLONE_NEWUSER: Final = 0x10000000
_CLONE_NEWNET: Final = 0x40000000
_CLONE_NEWIPC: Final = 0x08000000
# landlock(7); the numbers are the same on all architectures
_LANDLOCK_CREATE_RULESET: Final = 444
_LANDLOCK_RESTRICT_SELF: Final = 446
_LANDLOCK_ASK_VERSION: Final = 1


def confine(address_space_bytes: int, cpu_s: int, *, file_bytes: int = 0, programs: bool = False) -> list[str]:
    """Give up everything that scoring does not need; what could not be given up, in plain words.

    Afterwards the process cannot use the network, open, write or delete files, start processes or threads, gain
    privileges, or outlive its parent; it may map `address_space_bytes` and use `cpu_s` more seconds of CPU, after which
    SIGXCPU ends it. Import everything first: modules are files.

    With `file_bytes` it may write files of that size, of which without `programs` there are only those in memory. With
    `programs` it may start such and use files; the limits of memory and CPU are then of each of them.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    return list(_refused(libc, address_space_bytes, cpu_s, file_bytes, _OF_PROGRAMS if programs else frozenset()))


def hide_secrets() -> None:
    """Let no other process of this user read this one's environment and memory; those of root still may.

    For the parent: its passwords lie in /proc/<pid>/environ, and where there is no landlock, its child could open that.
    Costs core dumps, and debuggers of the same user. Linux; elsewhere, and where it is refused, nothing.
    """
    if _LINUX:
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _refused(
    libc: ctypes.CDLL, address_space_bytes: int, cpu_s: int, file_bytes: int, allowed: frozenset[str]
) -> Iterator[str]:
    root = os.geteuid() == 0
    steps: dict[str, Callable[[], None]] = {
        # root keeps its user namespace, in which it can become nobody; others get a network by way of a new one
        "reach the network": lambda: _unshare(libc, (0 if root else _CLONE_NEWUSER) | _CLONE_NEWNET | _CLONE_NEWIPC),
        "act as root": _become_nobody,
        "gain privileges": lambda: _prctl(libc, _PR_SET_NO_NEW_PRIVS, 1),
        "outlive its parent": lambda: _prctl(libc, _PR_SET_PDEATHSIG, signal.SIGKILL),
        "open files": lambda: _landlock(libc),
        "start processes": lambda: _limit(resource.RLIMIT_NPROC, 0),
        "write files": lambda: _limit(resource.RLIMIT_FSIZE, file_bytes),
        "open many files": lambda: _limit(resource.RLIMIT_NOFILE, _OPEN_FILES),
        "leave a core dump": lambda: _limit(resource.RLIMIT_CORE, 0),
        "take more memory": lambda: _limit(resource.RLIMIT_AS, address_space_bytes),
        "take more CPU time": lambda: _limit_cpu(cpu_s),
    }
    for what, give_up in steps.items():
        if what in allowed:
            continue
        try:
            give_up()
        except (OSError, ValueError, AttributeError) as error:
            yield f"it could {what} ({error})"


def _unshare(libc: ctypes.CDLL, namespaces: int) -> None:
    _checked(libc.unshare(namespaces))


def _become_nobody() -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)


def _prctl(libc: ctypes.CDLL, option: int, value: int) -> None:
    _checked(libc.prctl(option, value, 0, 0, 0))


def _landlock(libc: ctypes.CDLL) -> None:
    """Refuse every access that this kernel's landlock can refuse; files that are open stay usable."""
    if not _LINUX:
        raise OSError("landlock is Linux's")
    version = _checked(libc.syscall(_LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_ASK_VERSION))
    files = (1 << 13) - 1
    for since, right in ((2, 13), (3, 14), (5, 15)):  # link elsewhere, truncate, ioctl
        files |= (version >= since) << right
    sockets = 0b11 if version >= 4 else 0  # bind, connect
    scope = 0b11 if version >= 6 else 0  # abstract sockets, signals to others
    attributes = struct.pack("QQQ", files, sockets, scope)[: 24 if version >= 6 else 16 if version >= 4 else 8]
    ruleset = _checked(libc.syscall(_LANDLOCK_CREATE_RULESET, attributes, len(attributes), 0))
    try:
        _checked(libc.syscall(_LANDLOCK_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)


def _limit(which: int, value: int) -> None:
    resource.setrlimit(which, (value, value))


def _limit_cpu(cpu_s: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    end_s = int(used.ru_utime + used.ru_stime) + 1 + cpu_s
    resource.setrlimit(resource.RLIMIT_CPU, (end_s, end_s + 1))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


if __name__ == "__main__":  # a rehearsal, for whoever wants to know beforehand
    sys.stdout.write(json.dumps({"unguarded": confine(1 << 34, 5)}) + "\n")
    sys.stdout.flush()
