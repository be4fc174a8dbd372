"""Workers come, go, and fall asleep under load; whoever owns a partition, each of its rows is answered once."""

import json
import signal
from collections.abc import Callable

import pytest

from freshet.models.bundle import Bundle
from support.faults import Trial

pytestmark = [pytest.mark.kafka, pytest.mark.e2e, pytest.mark.faults]

_VISITORS = 5
"""A join takes two heartbeats of the group, so some five seconds."""


def test_elastic_workers_that_join_and_leave(trial: Callable[..., Trial], models: list[Bundle]) -> None:
    """Every few seconds a worker joins and another one leaves: nothing is lost, nothing answered twice."""
    here = trial(workers=("inference-a",), env={"FRESHET_SLOTS": "elastic"})
    here.start(models[0])
    visitors = ["inference-a"]
    while len(visitors) <= _VISITORS:
        visitors.append(f"inference-v{len(visitors)}")
        here.run(visitors[-1])
        here.wait_owned(visitors[-1], 2)
        if len(visitors) > 2:
            here.stage.supervisor.stop(visitors[-3])
    here.roll_out(models[1])
    outcome = here.end()
    assert outcome.logged["rebalanced"] >= len(visitors), "too few rebalances: the test was too weak"


def test_workers_that_wake_up_after_others_took_their_place(trial: Callable[..., Trial], models: list[Bundle]) -> None:
    """Asleep in the middle of a transaction for longer than their sessions, then awake: what they hold is refused."""
    here = trial(
        workers=("inference-0", "inference-1", "inference-2"),
        env={
            "FRESHET_KAFKA": json.dumps({"session.timeout.ms": "6000", "heartbeat.interval.ms": "1000"}),
            "FRESHET_TRANSACTION_TIMEOUT_MS": "6000",
        },
    )
    here.start(models[0])
    sleepers = {"inference-1": "begun:8=SIGSTOP", "inference-2": "offsets_sent:8=SIGSTOP"}
    for name, failpoint in sleepers.items():
        here.stage.supervisor.stop(name)
        here.run(name, failpoint=failpoint)
    for name in sleepers:
        here.wait_asleep(name)
    here.wait_owned("inference-0", 6)
    here.wait_progress("inference")
    for name in sleepers:
        here.send_signal(name, signal.SIGCONT)
    for name in sleepers:
        here.wait_owned(name, 1)
    outcome = here.end()
    assert here.logged("inference-1")["refused"] >= 1, "the sleeper had nothing at hand: the test was too weak"
    assert here.stage.supervisor.restarts("inference-2") == 1, "a producer whose transaction expired went on"
    assert outcome.aborted
