"""Whether a model fits: the container's limit and the machine's free memory, as the kernel tells them."""

import os
from pathlib import Path

import pytest

from freshet.models.memory import available_bytes, check_memory, limit_bytes
from freshet.models.model_error import ModelError

MIB = 1 << 20


def machine(root: Path, files: dict[str, str]) -> Path:
    """A root with these files under it, and 8 GiB free on the machine."""
    for name, text in {"proc/meminfo": "MemTotal: 9 kB\nMemAvailable: 8388608 kB\n", **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


V2 = "sys/fs/cgroup/"
V1 = "sys/fs/cgroup/memory/"
GROUPS = {
    "none": ({}, 8192),
    "v2 in a container": (
        {
            "proc/self/cgroup": "0::/\n",
            V2 + "memory.max": f"{512 * MIB}\n",
            V2 + "memory.current": f"{300 * MIB}\n",
            V2 + "memory.stat": f"anon 5\ninactive_file {100 * MIB}\n",
        },
        312,
    ),
    "v2 without a limit": (
        {"proc/self/cgroup": "0::/a\n", V2 + "a/memory.max": "max\n", V2 + "a/memory.current": "9\n"},
        8192,
    ),
    "v2, a limit above ours": (
        {
            "proc/self/cgroup": "0::/a/b\n",
            V2 + "a/memory.max": f"{200 * MIB}\n",
            V2 + "a/memory.current": f"{150 * MIB}\n",
            V2 + "a/b/memory.max": "max\n",
            V2 + "a/b/memory.current": "9\n",
        },
        50,
    ),
    "v1, its path of the host unknown here": (
        {
            "proc/self/cgroup": "5:cpu:/docker/x\n4:memory:/docker/x\n0::/y\n",
            V1 + "memory.limit_in_bytes": f"{100 * MIB}\n",
            V1 + "memory.usage_in_bytes": f"{90 * MIB}\n",
            V1 + "memory.stat": f"total_inactive_file {20 * MIB}\n",
        },
        30,
    ),
}


@pytest.mark.parametrize("name", GROUPS)
def test_the_tightest_limit_counts(tmp_path: Path, name: str) -> None:
    """Our own group, those above it, and the machine; file pages that can be dropped are free."""
    files, mib = GROUPS[name]
    root = machine(tmp_path, files)
    assert available_bytes(root) == mib * MIB
    check_memory(mib * MIB, root)
    with pytest.raises(ModelError, match="no_memory"):
        check_memory(mib * MIB + 1, root)


@pytest.mark.parametrize(
    ("name", "mib"),
    [
        ("v2 in a container", 512),
        ("v2, a limit above ours", 200),
        ("v1, its path of the host unknown here", 100),
    ],
)
def test_the_most_that_a_process_may_hold_is_its_containers_limit(tmp_path: Path, name: str, mib: int) -> None:
    """Whatever is in use now: the join takes half of it, and waits instead of being ended by the kernel."""
    assert limit_bytes(machine(tmp_path, GROUPS[name][0])) == mib * MIB


@pytest.mark.parametrize("name", ["none", "v2 without a limit"])
def test_without_a_limit_it_is_the_machines_memory(tmp_path: Path, name: str) -> None:
    """Version 1 says so with a number that no machine has."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert limit_bytes(machine(tmp_path, GROUPS[name][0])) == whole
    none = {V1 + "memory.limit_in_bytes": "9223372036854771712\n", V1 + "memory.usage_in_bytes": "9\n"}
    assert limit_bytes(machine(tmp_path, none)) == whole


def test_where_nothing_says_everything_fits(tmp_path: Path) -> None:
    """A machine without /proc: the load shows."""
    assert available_bytes(tmp_path) is None
    check_memory(1 << 50, tmp_path)
