"""The in-flight note: what a process finds of those that died before it."""

import subprocess
import sys
from pathlib import Path

import pytest

from freshet.inference.core.crash_blame import Death, Flight, Span
from freshet.inference.inflight import InFlightNote

FLIGHT = Flight("1.0.2", (Span(0, 5, 9), Span(3, 1 << 40, 1 << 41)), "d" * 64)
_KILLED = """
import os, signal, sys
from pathlib import Path
from freshet.inference.core.crash_blame import Flight, Span
from freshet.inference.inflight import InFlightNote
InFlightNote.open(Path(sys.argv[1]), "T1").begin(Flight("1.0.2", (Span(0, 5, 9), Span(3, 1 << 40, 1 << 41)), "d" * 64))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the note is, in a folder that is not there yet."""
    return tmp_path / "state" / "inference.inflight"


def test_a_killed_process_leaves_what_it_was_scoring(path: Path) -> None:
    """By SIGKILL, without any sync: the next process reads the whole flight."""
    subprocess.run([sys.executable, "-c", _KILLED, path], check=False, timeout=60)
    assert InFlightNote.open(path, "T1").deaths == (Death(FLIGHT),)


def test_deaths_add_up_until_a_process_ends_elsewhere(path: Path) -> None:
    """A process that died outside a score call, or ended well, was no victim: the counts start anew."""
    for _ in range(2):
        InFlightNote.open(path, "T1").begin(FLIGHT)
    third = InFlightNote.open(path, "T1")
    assert third.deaths == (Death(FLIGHT),) * 2
    third.begin(FLIGHT)
    third.end()
    assert InFlightNote.open(path, "T1").deaths == ()


def test_a_hang_is_told_apart(path: Path) -> None:
    """Also after a further death."""
    first = InFlightNote.open(path, "T1")
    first.begin(FLIGHT)
    first.hung()
    InFlightNote.open(path, "T1").begin(Flight("2.0.0", (), "e" * 64))
    assert InFlightNote.open(path, "T1").deaths == (Death(FLIGHT, hung=True), Death(Flight("2.0.0", (), "e" * 64)))


def test_only_the_last_deaths_are_kept(path: Path) -> None:
    """The file does not grow, and the newest is never the one that is dropped."""
    sizes = set()
    for number in range(12):
        InFlightNote.open(path, "T1").begin(Flight(f"1.0.{number}", (), "d" * 64))
        sizes.add(path.stat().st_size)
    assert len(sizes) == 1
    kept = InFlightNote.open(path, "T1").deaths
    assert [death.flight.version for death in kept] == [f"1.0.{number}" for number in range(4, 12)]


def test_offsets_of_another_topic_are_forgotten(path: Path) -> None:
    """A topic made anew has the same offsets, but other rows."""
    InFlightNote.open(path, "T1").begin(FLIGHT)
    assert InFlightNote.open(path, "T2").deaths == ()


@pytest.mark.parametrize("junk", [b"", b"x" * 100, b"\xff" * 40_960, b"x" * 100_000])
def test_a_file_that_is_no_note_is_replaced(path: Path, junk: bytes) -> None:
    """It is only a cache: whatever is there, work goes on."""
    path.parent.mkdir()
    path.write_bytes(junk)
    note = InFlightNote.open(path, "T1")
    assert note.deaths == ()
    note.begin(FLIGHT)
    assert InFlightNote.open(path, "T1").deaths == (Death(FLIGHT),)


def test_more_partitions_than_fit_are_cut_off() -> None:
    """The version counts all the same."""
    note = InFlightNote.in_memory()
    note.begin(Flight("v" * 1_000, tuple(Span(number, 0, 1) for number in range(5_000)), "d" * 64))
    note.end()
