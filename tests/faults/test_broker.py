"""The broker itself dies under load, and comes back on its data."""

from pathlib import Path

import pytest

from freshet.local import broker
from freshet.models.bundle import Bundle
from support.faults import Trial

pytestmark = [pytest.mark.kafka, pytest.mark.e2e, pytest.mark.faults]

_KILLS = 2


def test_a_broker_that_is_killed_and_comes_back(
    namespace: str, models: list[Bundle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every client finds it again, in time and by itself; what was committed is there, what was open is done again."""
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)  # never kill a Kafka that is not our own
    root = tmp_path / "broker"
    kafka = broker.up(root, say=print).bootstrap_servers
    try:
        with Trial(kafka, namespace, tmp_path) as here:
            here.start(models[0])
            for name in here.stage.inference:  # a group that is still dividing its partitions: docs/failures.md
                here.wait_owned(name, 1)
            for _ in range(_KILLS):
                broker.kill(root)
                assert broker.up(root, say=print).bootstrap_servers == kafka
                here.wait_progress("ingestion")
                here.wait_progress("inference")
            here.roll_out(models[1])
            here.end()
    finally:
        broker.wipe(root)
