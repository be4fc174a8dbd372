"""Detection on Faust beside the other services: the same alarms as a fold of the log gives, whatever happens to it."""

import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

import pytest

from freshet.lab.broker import kill, up, wipe
from freshet.models.bundle import Bundle
from support.drift_trials import OWN_BROKER, changed, come_and_go, judged
from support.faults import Trial

pytestmark = [pytest.mark.kafka, pytest.mark.e2e, pytest.mark.faults, pytest.mark.timeout(400)]

_RATE: Final = 200.0
_KILLS: Final = 6
_FAUST: Final = {"FRESHET_DRIFT_ENGINE": "faust"}


def test_killed_at_random(trial: Callable[..., Trial], models: list[Bundle]) -> None:
    """Nothing is skipped, and no alarm is lost or told twice."""
    here, chance = trial(drift=("drift-0",), rate=_RATE, env=_FAUST), Random(13)
    here.start(models[0])
    changed(here)
    for _ in range(_KILLS):
        here.wait_progress("drift")  # Faust has begun, and has committed
        time.sleep(chance.uniform(0.0, 3.0))
        here.kill("drift-0")
    here.wait_progress("drift")
    here.wait_alarm()
    judged(here.end())


def test_a_standby_joins_and_leaves(trial: Callable[..., Trial], models: list[Bundle]) -> None:
    """The log goes from one worker to the other and back, also by SIGKILL."""
    here = trial(drift=("drift-a", "drift-b"), rate=_RATE, env=_FAUST | {"FRESHET_SLOTS": "elastic"})
    here.start(models[0])
    changed(here)
    come_and_go(here)
    here.wait_alarm()
    judged(here.end())


def test_faust_outlives_a_broker_that_restarts(namespace: str, models: list[Bundle], tmp_path: Path) -> None:
    """Faust finds it again, or ends and is started anew."""
    root = tmp_path / "broker"
    address = up(root, say=print, environ=OWN_BROKER).bootstrap_servers
    try:
        with Trial(address, namespace, tmp_path, drift=("drift-0",), rate=_RATE, env=_FAUST) as here:
            here.start(models[0])
            changed(here)
            for number in range(2):
                kill(root)
                up(root, say=print, environ=OWN_BROKER)
                here.wait_progress("drift")
                time.sleep(0.3 * number)
            here.wait_alarm()
            judged(here.end())
    finally:
        wipe(root, environ=OWN_BROKER)
