"""Three brokers under load: one at a time or all at once die or restart; everything is answered, and answered once."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from freshet.models.bundle import Bundle
from support.drift_trials import changed, judged
from support.faults import Trial, answered
from support.three_brokers import Struck, ThreeBrokers, silence, struck

pytestmark = [pytest.mark.kafka, pytest.mark.e2e, pytest.mark.faults, pytest.mark.timeout(1200)]

_RATE: Final = 200.0
_SERVICES: Final = ("ingestion", "inference", "drift")
_ALL: Final = (1, 2, 3)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreeBrokers]:
    """Started before the first test, deleted after the last one; between two, all run."""
    brokers = ThreeBrokers(tmp_path_factory.mktemp("three"))
    try:
        yield brokers
    finally:
        brokers.wipe()


@pytest.fixture
def here(own: ThreeBrokers, namespace: str, models: list[Bundle], tmp_path: Path) -> Iterator[Trial]:
    """All data services under load on them, each partition with an owner, while the concept changes."""
    with Trial(own.address, namespace, tmp_path, drift=("drift-0",), rate=_RATE) as trial:
        trial.start(models[0])
        for name in trial.stage.inference:
            trial.wait_owned(name, 1)
        changed(trial)
        yield trial


def test_each_broker_is_killed_in_turn(own: ThreeBrokers, here: Trial) -> None:
    """The other two go on: all services get further before the dead one is back."""
    _strike(own, here, "one broker is killed, each in turn", [partial(own.kill, number) for number in _ALL])


def test_all_brokers_are_killed_at_once(own: ThreeBrokers, here: Trial) -> None:
    """Nobody answers until they are back; then all goes on from what was committed."""
    _strike(own, here, "all three are killed at once, three times", [own.kill] * 3, goes_on=False)


def test_a_rolling_restart(own: ThreeBrokers, here: Trial) -> None:
    """One after the other is stopped in order, and the next only once all replicas are in sync."""
    _strike(own, here, "a rolling restart", [partial(own.stop, number) for number in _ALL], goes_on=False)


def test_the_coordinators_of_inference_are_killed(own: ThreeBrokers, here: Trial) -> None:
    """The broker that keeps its group's offsets, and the one that keeps its transactions, in the midst of these."""
    names = here.stage.names
    strikes = [
        lambda: own.kill(own.coordinator_of_group(names)),
        lambda: own.kill(own.coordinator_of_transactions(names)),
    ]
    _strike(own, here, "the coordinator of the group is killed, then that of the transactions", strikes)


def _strike(
    own: ThreeBrokers, here: Trial, what: str, strikes: Sequence[Callable[[], None]], *, goes_on: bool = True
) -> None:
    """Do these one by one, each mended before the next; then judge, and print the row of the table."""
    during: list[Struck] = []
    for strike in strikes:
        with struck(what, during):
            strike()
            here.kills += 1
            if goes_on:
                _wait_progress(here)
            own.start()
            _wait_progress(here)
    here.wait_alarm()
    outcome = here.end()
    judged(outcome)
    waits = [answered(partial(silence, here.stage.bus, span)) for span in during]
    partition_s, everywhere_s = (max(found) for found in zip(*waits, strict=True))
    restarts = {name: here.stage.supervisor.restarts(name) for name in ("ingestion-0", *here.workers, "drift-0")}
    print(  # noqa: T201 - what a run was made of is its result
        f"| {what} | {everywhere_s:.1f} s | {partition_s:.1f} s | {outcome.sent.events} | {outcome.aborted} | "
        f"{sum(restarts.values())} | {sum(not finding.ok for finding in outcome.judgement.findings)} |"
    )


def _wait_progress(here: Trial) -> None:
    for service in _SERVICES:
        here.wait_progress(service)
