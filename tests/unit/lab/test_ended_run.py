"""A demo that is told to end stops the Kafka that it started, and no other."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from freshet.lab import broker
from freshet.lab.ended_run import stops_its_broker


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """SIGHUP is heard, also where the tests themselves were started with nohup, which ignores it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders whose broker was stopped; before the run none is there."""
    folders: list[Path] = []
    monkeypatch.setattr(broker, "status", lambda _: SimpleNamespace(state="absent"))

    def down(home: Path) -> bool:
        folders.append(home)
        return True

    monkeypatch.setattr(broker, "down", down)
    return folders


def ended(home: Path, run: Callable[[], None]) -> list[str]:
    """What is said when this is run, and ended by an interrupt."""
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt), stops_its_broker(home, say=said.append):
        run()
    return said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_run_that_is_told_to_end_stops_the_kafka_that_it_started(number: int, stopped: list[Path]) -> None:
    """By a service manager, a closed terminal or Ctrl-C; and the signals mean afterwards what they meant before."""
    before = signal.getsignal(number)

    def killed() -> None:
        os.kill(os.getpid(), number)
        time.sleep(10)

    assert "has stopped the Kafka" in ended(Path("here"), killed)[0]
    assert stopped == [Path("here")]
    assert signal.getsignal(number) == before


def test_a_run_that_takes_the_end_for_ctrl_c_stops_it_all_the_same(stopped: list[Path]) -> None:
    """As one that is looked at until Ctrl-C."""

    def looked_at() -> None:
        with suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)

    ended(Path("here"), looked_at)
    assert stopped == [Path("here")]


def test_a_terminal_that_is_gone_keeps_nothing_running(stopped: list[Path]) -> None:
    """Whatever is written then fails."""

    def closed() -> None:
        try:
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(10)
        finally:
            raise OSError("no terminal")

    with pytest.raises(OSError, match="no terminal"), stops_its_broker(Path("here"), say=print):
        closed()
    assert stopped == [Path("here")]


@pytest.mark.parametrize("state", ["running", "external"])
def test_a_kafka_that_was_there_before_runs_on(
    state: str, stopped: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is somebody else's."""
    monkeypatch.setattr(broker, "status", lambda _: SimpleNamespace(state=state))

    def killed() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)

    assert ended(Path("here"), killed) == []
    assert stopped == []


def test_a_run_that_ends_by_itself_leaves_its_kafka_running(stopped: list[Path]) -> None:
    """Its topics can be looked at; after a failure too."""
    with stops_its_broker(Path("here"), say=print):
        pass
    with pytest.raises(ValueError, match="failed"), stops_its_broker(Path("here"), say=print):
        raise ValueError("failed")
    assert stopped == []
