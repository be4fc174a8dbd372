"""Faust as it is released, under our engine: it may stop, but it raises no wrong alarm."""

import subprocess
import time
from pathlib import Path
from random import Random

import pytest

from support.detect_engines import WatchedLog
from support.faults import until

pytestmark = [pytest.mark.kafka, pytest.mark.faults, pytest.mark.timeout(300)]

_LIVES = 4


def until_it_goes_on(log: WatchedLog, process: subprocess.Popen[bytes], unread: int) -> None:
    """Wait until it has read some of what was unread, or has ended."""
    until("it to go on", lambda: process.poll() is not None or log.unread() < unread)


def test_stock_faust_stops_or_is_right(kafka: str, namespace: str, tmp_path: Path) -> None:
    """Killed and started again under load, behind transactions of which some are aborted.

    It reads records of aborted transactions, so it ends with 70 at the first of them, before it has used it. All alarms
    until then are right; those that lack come from our own loop, which goes on from its state.
    """
    log, chance = WatchedLog(kafka, namespace, tmp_path), Random(3)
    log.grow(1500, 0.1, aborts=0.0)
    log.grow(1500, 0.6, aborts=0.0)
    codes = []
    for life in range(_LIVES):
        log.grow(600, 0.1 if life % 2 else 0.6, aborts=0.0 if life < 2 else 0.4)
        before, process = log.unread(), log.process("stock")
        try:
            until_it_goes_on(log, process, before)
            time.sleep(chance.uniform(0.0, 2.0))
        finally:
            codes.append(process.poll())
            process.kill()
            process.wait()
        assert set(log.alarms()) <= set(log.truth())
    assert log.alarms(), "it raised none, so this shows nothing"
    assert codes[-2:] == [70, 70]
    assert "Faust added record" in (tmp_path / "stock.log").read_text()
    until("Kafka to know that it is dead", lambda: not log.members())
    worker = log.worker("loop")
    log.drain(worker)
    worker.close()
    assert log.alarms() == log.truth()
