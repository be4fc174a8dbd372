"""Reports are written beside the loop: newest only, dropped on failure, and nothing waits for them."""

import threading

from freshet.runtime.bus.memory import MemoryBus
from freshet.runtime.bus.protocol import RetriableError, Send
from freshet.runtime.reports import BackgroundReports
from support.loops import NAMES, Answerer, Stand


def report(key: bytes, value: bytes) -> Send:
    """A record of the workers topic."""
    return Send("workers", [key], [value])


class Gate:
    """A producer whose first record waits until it is let through; it may then fail."""

    def __init__(self, *, fails: bool = False) -> None:
        self.waiting, self.opened = threading.Event(), threading.Event()
        self.written: list[tuple[bytes | None, bytes | None]] = []
        self.closed = 0
        self._fails = fails

    def send(self, send: Send, within_s: float | None = None) -> list[int]:
        """Wait, then fail or write."""
        self.waiting.set()
        self.opened.wait()
        if self._fails:
            self._fails = False
            raise RetriableError("the broker is away.")
        self.written.append((send.keys[0], send.values[0]))
        return [0]

    def close(self) -> None:
        """Count it."""
        self.closed += 1


def test_only_the_newest_record_of_a_key_is_written() -> None:
    """While one is on its way, any number may be put; what is old by then is never written."""
    gate = Gate()
    reports = BackgroundReports(lambda: gate)
    reports.put(report(b"a", b"1"))
    gate.waiting.wait()
    for value in (b"2", b"3", b"4"):
        reports.put(report(b"a", value))
        reports.put(report(b"b", value))
    gate.opened.set()
    reports.close()
    assert gate.written == [(b"a", b"1"), (b"a", b"4"), (b"b", b"4")]


def test_a_record_that_cannot_be_written_is_dropped_and_the_next_one_is_written() -> None:
    """With a client of its own, so that nothing old comes later."""
    gate = Gate(fails=True)
    gate.opened.set()
    reports = BackgroundReports(lambda: gate)
    reports.put(report(b"a", b"1"))
    gate.waiting.wait()
    reports.put(report(b"b", b"2"))
    reports.close()
    assert gate.written == [(b"b", b"2")]
    assert gate.closed == 2


def test_a_workers_topic_that_cannot_be_written_changes_nothing_for_data() -> None:
    """Every row is answered, and leaving takes no longer than it may, while not one report comes through."""
    stand, gate = Stand(), Gate()
    loop = stand.loop(Answerer(), reports=BackgroundReports(lambda: gate))
    stand.feed(100, 0)
    stand.turn(loop, times=40)
    assert gate.written == []
    assert stand.answers() == stand.inputs()
    assert len(stand.answers()) == 100
    loop.close()
    gate.opened.set()


def test_reports_of_a_loop_are_written() -> None:
    """Inline by default, and by the thread: the last word of a worker that leaves is on the topic."""
    for background in (False, True):
        stand = Stand()
        reports = BackgroundReports(MemoryBus(stand.cluster, NAMES).producer) if background else None
        loop = stand.loop(Answerer(), reports=reports)
        stand.turn(loop, times=4)
        loop.close()
        assert stand.read("workers")[-1].keys[-1] == b"inference/p/0"
        assert stand.workers()[-1].leaving
