"""The registry dies while a rollout is under way; its successor goes on with the same epoch and decides once."""

from collections.abc import Callable

import pytest

from freshet.avro.control import decode
from freshet.contracts.messages import Decision, Message, Rollout
from freshet.models.bundle import Bundle
from freshet.runtime.reading import everything
from support.faults import Trial

pytestmark = [pytest.mark.kafka, pytest.mark.e2e, pytest.mark.timeout(300)]


def written(trial: Trial, role: str) -> list[Message]:
    """All that was ever visible on a control topic."""
    values = (value for batch in everything(trial.stage.bus, role) for value in batch.values)
    return [decode(role, value) for value in values if value is not None]


@pytest.mark.parametrize(
    "failpoints",
    [
        ["committed:2"],  # the prepare is visible, nobody has seen the answers
        pytest.param(
            [
                "offsets_sent:3",  # live is written, but never becomes visible
                "committed:3",  # live is visible, the registry does not know it yet
            ],
            marks=pytest.mark.faults,
        ),
    ],
)
def test_a_rollout_outlives_the_registry(
    failpoints: list[str], trial: Callable[..., Trial], models: list[Bundle]
) -> None:
    """After a new registry's first transaction (the verdict) come its second (prepare) and third (live)."""
    here = trial()
    here.start(models[0])
    for failpoint, model in zip(failpoints, models[1:], strict=False):
        here.stage.supervisor.stop("registry")
        here.run("registry", failpoint=failpoint)
        version = here.roll_out(model).version
        assert here.stage.supervisor.restarts("registry") == 1, "the registry never died: the test was too weak"
        assert here.stage.view.ledger.epochs.serving == version

    epochs = range(1, len(failpoints) + 2)
    rollouts = [message for message in written(here, "rollouts") if isinstance(message, Rollout)]
    assert [(rollout.epoch, rollout.phase) for rollout in rollouts] == [
        (epoch, phase) for epoch in epochs for phase in ("prepare", "live")
    ]
    decisions = [message for message in written(here, "decisions") if isinstance(message, Decision)]
    assert [(decision.about, decision.verdict) for decision in decisions] == [
        (about, "done") for _ in epochs for about in ("candidate", "rollout")
    ]
    here.end()
