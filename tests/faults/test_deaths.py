"""Services are killed under load, at every step of a transaction; each event still ends exactly once."""

from collections.abc import Callable

import pytest

from freshet.models.bundle import Bundle
from support.faults import STEPS, Trial

pytestmark = [pytest.mark.kafka, pytest.mark.e2e, pytest.mark.timeout(300)]


def test_killed_between_the_offsets_and_the_commit(trial: Callable[..., Trial], models: list[Bundle]) -> None:
    """The worst moment: answers and offsets are with the broker, nothing is visible. A model takes over afterwards."""
    here = trial()
    here.start(models[0])
    here.die_at("ingestion-0", "offsets_sent:4")
    here.die_at("inference-0", "offsets_sent:3")
    here.roll_out(models[1])
    outcome = here.end()
    assert outcome.aborted, "no record was ever aborted: the test was too weak"


@pytest.mark.faults
def test_killed_at_every_step(trial: Callable[..., Trial], models: list[Bundle]) -> None:
    """Ingestion and an inference worker, each at each step: what was visible stays, what was not is done again."""
    here = trial()
    here.start(models[0])
    for count, step in enumerate(STEPS, start=2):
        here.die_at("ingestion-0", f"{step}:{count}")
        here.die_at("inference-0", f"{step}:{count}")
    here.roll_out(models[1])
    outcome = here.end()
    assert here.kills == 8
    assert outcome.aborted, "no record was ever aborted: the test was too weak"


@pytest.mark.faults
def test_everything_is_killed_and_its_local_state_deleted(trial: Callable[..., Trial], models: list[Bundle]) -> None:
    """All state is on topics: services that start on an empty disk go on where their predecessors were (P4)."""
    here = trial()
    here.start(models[0])
    epoch = here.stage.view.ledger.epochs.live
    here.wipe()
    here.wait_progress("ingestion")
    here.wait_progress("inference")
    assert here.stage.view.ledger.epochs.live == epoch
    here.roll_out(models[1])
    here.end()
    assert here.kills == 4
