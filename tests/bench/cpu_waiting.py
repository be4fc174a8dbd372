"""How long a process waited for a CPU: on a busy machine that, and not its own work, is what its answers took."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_NS_PER_S = 1e9


class Scheduled(NamedTuple):
    """Of all threads of a process since they began, in seconds."""

    ran_s: float
    waited_s: float
    """Ready to run, while others had the CPUs."""

    def since(self, before: "Scheduled") -> "Scheduled":
        """What came since then; threads that have ended meanwhile are missing in both."""
        return Scheduled(max(0.0, self.ran_s - before.ran_s), max(0.0, self.waited_s - before.waited_s))

    @property
    def share_waited(self) -> float:
        """Of the time in which it could have run."""
        return self.waited_s / max(self.ran_s + self.waited_s, 1e-9)


def scheduled(pid: int) -> Scheduled:
    """As the kernel tells it (`/proc/PID/task/*/schedstat`); zeros where it does not."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(OSError):  # the thread has ended
            found.append(path.read_text())
    return added(found)


def added(texts: Iterable[str]) -> Scheduled:
    """Each text is `nanoseconds run, nanoseconds waited, slices` of one thread."""
    pairs = [[int(number) for number in text.split()[:2]] for text in texts]
    return Scheduled(sum(ran for ran, _ in pairs) / _NS_PER_S, sum(waited for _, waited in pairs) / _NS_PER_S)
