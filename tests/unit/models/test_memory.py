"""How much memory a process may still take."""

from pathlib import Path

import pytest

from freshet.models.memory import fits

MIB = 1 << 20


def machine(folder: Path, files: dict[str, str]) -> tuple[Path, Path]:
    """A /proc and a /sys/fs/cgroup with these files; the host has 8 GiB left."""
    host = {"proc/meminfo": f"MemTotal: 9 kB\nMemAvailable: {8 << 20} kB\n"}
    for name, text in {**host, **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder / "proc", folder / "cgroup"


GROUPS = {
    "host": ({}, 8192),
    "unlimited": ({"cgroup/memory.max": "max\n", "cgroup/memory.current": "5\n"}, 8192),
    "container": (
        {
            "cgroup/memory.max": f"{1000 * MIB}\n",
            "cgroup/memory.current": f"{800 * MIB}\n",
            "cgroup/memory.stat": f"anon {500 * MIB}\ninactive_file {300 * MIB}\n",
        },
        500,
    ),
    "nested": (
        {
            "proc/self/cgroup": "0::/outer/inner\n",
            "cgroup/outer/memory.max": f"{100 * MIB}\n",
            "cgroup/outer/memory.current": f"{40 * MIB}\n",
            "cgroup/outer/inner/memory.max": "max\n",
            "cgroup/outer/inner/memory.current": "1\n",
        },
        60,
    ),
    "version-1": (
        {
            "cgroup/memory/memory.limit_in_bytes": f"{100 * MIB}\n",
            "cgroup/memory/memory.usage_in_bytes": f"{70 * MIB}\n",
        },
        30,
    ),
}


@pytest.mark.parametrize("case", GROUPS)
def test_the_tightest_limit_counts(case: str, tmp_path: Path) -> None:
    """The host's memory, the container's, and those around it; what the page cache holds is free."""
    files, room_mb = GROUPS[case]
    where = machine(tmp_path, files)
    assert fits(room_mb * MIB, *where)
    assert not fits(room_mb * MIB + 1, *where)


def test_where_nothing_is_known_everything_fits(tmp_path: Path) -> None:
    """A system without /proc refuses no model."""
    assert fits(1 << 60, tmp_path / "proc", tmp_path / "cgroup")
    assert fits(1), "this machine has a byte left"
