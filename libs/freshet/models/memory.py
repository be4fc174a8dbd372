"""How much memory this process holds and may still take, and giving back what it does not need."""

import ctypes
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from freshet.models.model_error import ModelError

_STATM: Final = "/proc/self/statm"
_RU_MAXRSS_BYTES: Final = 1 if sys.platform == "darwin" else 1024


class ResidentMemory:
    """Reads this process's resident memory. Opened once, because a confined process can open nothing any more.

    Where there is no /proc, what it reads is the largest value so far: a difference then is an upper bound.
    """

    def __init__(self) -> None:
        self._statm = os.open(_STATM, os.O_RDONLY | os.O_CLOEXEC) if os.path.exists(_STATM) else None  # noqa: PTH110

    def resident_bytes(self) -> int:
        """Resident bytes now."""
        if self._statm is None:
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RU_MAXRSS_BYTES
        return int(os.pread(self._statm, 256, 0).split()[1]) * resource.getpagesize()

    def address_space_bytes(self) -> int:
        """Mapped bytes now; 0 where unknown."""
        return 0 if self._statm is None else int(os.pread(self._statm, 256, 0).split()[0]) * resource.getpagesize()


def give_back() -> None:
    """Hand freed pages back to the system (glibc's `malloc_trim`; elsewhere nothing).

    Without it, twelve swaps of a 51 MB forest hold 1.4 GB; with it, 0.33.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def check_memory(needed_bytes: int, root: Path = Path("/")) -> None:
    """Raise ModelError `no_memory` if so much more would not fit into the container's limit or the machine.

    Better a model that is refused here than one for which the kernel ends the process. `root` is where /proc and /sys
    are found.
    """
    free_bytes = available_bytes(root)
    if free_bytes is not None and needed_bytes > free_bytes:
        raise ModelError(
            "no_memory",
            f"it takes {needed_bytes >> 20} MiB, and {max(free_bytes, 0) >> 20} MiB are free here: give the worker "
            "more memory, or train a smaller model.",
        )


def available_bytes(root: Path = Path("/")) -> int | None:
    """What this process may still take: the least that the machine, its control group or one above it leaves.

    File pages that the kernel can drop count as free. None where nothing says.
    """
    of_groups = (group.limit_bytes - group.used_bytes + group.droppable_bytes for group in _groups(root))
    return min([*_of_machine(root / "proc/meminfo"), *of_groups], default=None)


def limit_bytes(root: Path = Path("/")) -> int:
    """The most that this process may ever hold: the machine's memory, or less where a control group has a limit."""
    machine_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([machine_bytes, *(group.limit_bytes for group in _groups(root))])


def _of_machine(meminfo: Path) -> Iterator[int]:
    kib = _numbers(meminfo).get("MemAvailable:")
    if kib is not None:
        yield kib << 10


class _Group(NamedTuple):
    """A control group that has a limit."""

    limit_bytes: int
    used_bytes: int
    droppable_bytes: int
    """Of the used ones: file pages."""


def _groups(root: Path) -> Iterator[_Group]:
    """Our own and those above it, as far as they have a limit.

    Version 2 has one tree; version 1 one for memory, with other names. Inside a container both may begin at `/`.
    """
    lines = _text(root / "proc/self/cgroup").splitlines()
    paths = {
        controllers: path for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") > 1)
    }
    for tree, controllers, limit, usage, reclaimable in (
        (root / "sys/fs/cgroup", "", "memory.max", "memory.current", "inactive_file"),
        (
            root / "sys/fs/cgroup/memory",
            "memory",
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
            "total_inactive_file",
        ),
    ):
        group = tree / paths.get(controllers, "/").lstrip("/")
        for folder in (group, *group.parents):
            most, used = _text(folder / limit).strip(), _text(folder / usage).strip()
            if most.isdigit() and used.isdigit():
                yield _Group(int(most), int(used), _numbers(folder / "memory.stat").get(reclaimable, 0))
            if folder == tree:
                break


def _numbers(path: Path) -> dict[str, int]:
    """The lines of a file that are a name, a number and perhaps a unit."""
    rows = (line.split() for line in _text(path).splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdigit()}


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
