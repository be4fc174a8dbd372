"""The second source of detection on Faust: profiles. The same alarms as on our own loop, from the same state."""

from pathlib import Path

import pytest

from freshet.drift.core.compare import CompareLogic
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.data_loop import DataLoop
from support.compare_engines import WatchedProfiles
from support.detect_engines import WatchedLog
from support.labelled_log import bernoulli

pytestmark = [pytest.mark.kafka, pytest.mark.faults, pytest.mark.timeout(240)]


def state_of(worker: DataLoop) -> bytes:
    """What a checkpoint would hold now."""
    assert isinstance(worker.logic, CompareLogic)
    return worker.logic.dump(0)


def test_both_engines_compare_alike_and_take_over_from_each_other(kafka: str, namespace: str, tmp_path: Path) -> None:
    """Each worker goes on with the other engine's state; then one engine alone reads all. Bytes are equal."""
    log = WatchedProfiles(kafka, namespace, tmp_path)
    for engine, scale in (("loop", 1.0), ("faust", 0.6), ("loop", 0.6), ("faust", 1.0), ("faust", 1.0)):
        log.grow_frames(12, scale)
        worker = log.worker(engine)
        assert isinstance(worker._bus, KafkaBus)
        assert (type(worker._bus) is KafkaBus) == (engine == "loop"), "the engine that was asked for"
        log.drain(worker)
        state = state_of(worker)
        worker.close()
    assert len(log.truth()) > 1
    assert log.alarms() == log.truth()
    assert log.alarms_written() == len(log.truth())
    log.forget_what_was_said()
    worker = log.worker("loop")
    log.drain(worker)
    assert (state_of(worker), log.alarms()) == (state, log.truth())
    worker.close()


def test_both_sources_are_watched_by_faust_in_one_process(kafka: str, namespace: str, tmp_path: Path) -> None:
    """`freshet run drift` has an app for each source, with a group, a state and offsets of its own."""
    labelled, profiles = WatchedLog(kafka, namespace, tmp_path), WatchedProfiles(kafka, namespace, tmp_path)
    labelled.log.errors(bernoulli(1, 1500, 0.1), size=50)
    labelled.log.errors(bernoulli(2, 1500, 0.6), size=50)
    labelled.write(labelled.log.records)
    profiles.grow_frames(20, 1.0)
    profiles.grow_frames(12, 0.6)
    workers = [labelled.worker("faust"), profiles.worker("faust")]
    labelled.drain(*workers)
    profiles.drain(*workers)
    for worker in workers:
        worker.close()
    told, both = profiles.alarms(), {*labelled.truth(), *profiles.truth()}
    assert len(told) == profiles.alarms_written() > 2
    assert {*told} <= both
