"""Detection on Faust, on a real Kafka: the same alarms as on our own loop, from the same state."""

from pathlib import Path

import pytest

from support.detect_engines import WatchedLog

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


def test_faust_raises_the_alarm(kafka: str, namespace: str, tmp_path: Path) -> None:
    """A change in the log is an alarm, as a fold of the log has it."""
    log = WatchedLog(kafka, namespace, tmp_path)
    log.grow(3000, 0.1)
    worker = log.worker("faust")
    log.drain(worker)
    assert log.alarms() == log.truth() == []
    log.grow(3000, 0.6)
    log.drain(worker)
    worker.close()
    assert log.truth()
    assert log.alarms() == log.truth()
