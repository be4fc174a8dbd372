"""Detection on Faust, on a real Kafka: the same alarms as on our own loop, from the same state."""

from pathlib import Path

import pytest

from freshet.drift.core.detect import DetectLogic
from freshet.runtime.bus.protocol import FatalError
from freshet.runtime.data_loop import DataLoop
from support.detect_engines import WatchedLog
from support.faults import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


def state_of(worker: DataLoop) -> bytes:
    """What a checkpoint would hold now."""
    assert isinstance(worker.logic, DetectLogic)
    return worker.logic.dump(0)


def changing(log: WatchedLog) -> None:
    """Worse, better, worse again."""
    for share in (0.1, 0.6, 0.1, 0.5):
        log.grow(2000, share)


def test_both_engines_raise_equal_alarms(kafka: str, namespace: str, tmp_path: Path) -> None:
    """Each reads the whole log as the first one who ever does. Bytes of the alarms are equal, and so are the states."""
    log = WatchedLog(kafka, namespace, tmp_path)
    changing(log)
    found, states = [], []
    for engine in ("loop", "faust"):
        worker = log.worker(engine)
        log.drain(worker)
        states.append(state_of(worker))
        worker.close()
        found.append(log.alarms())
        assert log.alarms_written() == len(found[-1])
        log.forget_what_was_said()
    assert len(found[0]) > 1
    assert found[0] == found[1] == log.truth()
    assert states[0] == states[1]


def test_each_engine_takes_over_from_the_other(kafka: str, namespace: str, tmp_path: Path) -> None:
    """Stopped and started with the other engine, detection goes on with its state, and repeats nothing."""
    log = WatchedLog(kafka, namespace, tmp_path)
    for engine, share in (("loop", 0.1), ("faust", 0.6), ("loop", 0.1), ("faust", 0.5), ("loop", 0.5)):
        log.grow(1500, share)
        worker = log.worker(engine)
        log.drain(worker)
        state = state_of(worker)
        worker.close()
    assert len(log.truth()) > 1
    assert log.alarms() == log.truth()
    assert log.alarms_written() == len(log.truth())
    log.forget_what_was_said()
    worker = log.worker("loop")
    log.drain(worker)
    assert state_of(worker) == state
    worker.close()


def test_one_engine_waits_until_the_other_has_left(kafka: str, namespace: str, tmp_path: Path) -> None:
    """Kafka lets one engine into the group, so both never watch one log. Neither loses its place by being too early."""
    log = WatchedLog(kafka, namespace, tmp_path)
    log.grow(1500, 0.1)
    loop, faust = log.worker("loop"), log.worker("faust")
    log.drain(loop)
    faust.step(0.1)
    assert faust.unready() == "reading control topics"
    loop.close()
    log.grow(1500, 0.6)
    log.drain(faust)
    early = log.worker("loop")
    with pytest.raises(FatalError, match="the FRESHET_DRIFT_ENGINE of the others"):
        until("the loop to be refused", lambda: early.step(0.1) < 0)
    early.close()
    log.grow(500, 0.6)
    log.drain(faust)
    faust.close()
    assert log.alarms() == log.truth()
