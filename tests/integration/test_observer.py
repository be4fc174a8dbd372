"""`freshet observe` when something cannot be seen: what it does not know, it does not show."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from freshet.contracts.shipped import pipelines_dir
from freshet.lab.local_deployment import LocalDeployment
from freshet.operate.connection import Connection, connect
from freshet.operate.lag.lag_reader import LagReader
from freshet.operate.observer.observer import STALE_S, Observer
from freshet.runtime.bus.protocol import RetriableError
from freshet.runtime.settings import load_settings

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]


@pytest.fixture
def connection(kafka: str, namespace: str, tmp_path: Path) -> Iterator[Connection]:
    """To the loans pipeline, without any service."""
    with LocalDeployment(kafka, namespace, pipelines_dir() / "loans", tmp_path / "logs", workers=1) as made:
        made.apply()
        yield connect(load_settings(kafka, namespace=namespace))


def shown(observer: Observer, name: str) -> list[float]:
    """The values of all series of this name that are about the pipeline."""
    samples = (sample for family in observer.collect() for sample in family.samples)
    return [sample.value for sample in samples if sample.name == name and sample.labels["pipeline"] == "loans"]


def test_what_was_seen_too_long_ago_is_not_shown(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its age is, and grows; the next good look shows all of it again."""
    now_s = [1000.0]
    observer = Observer(connection, now_s=lambda: now_s[0])
    assert observer.look()
    assert len(shown(observer, "freshet_lag_seconds")) > 0

    def away(_: LagReader) -> object:
        raise RetriableError("nobody answers")

    with monkeypatch.context() as patched:
        patched.setattr(LagReader, "read", away)
        now_s[0] += STALE_S - 1
        assert not observer.look()
        assert len(shown(observer, "freshet_lag_seconds")) > 0
        now_s[0] += 2
        assert not observer.look()
        assert shown(observer, "freshet_lag_seconds") == []
        assert shown(observer, "freshet_observation_age_seconds") == [STALE_S + 1]
    assert observer.look()
    assert len(shown(observer, "freshet_lag_seconds")) > 0
    observer.close()


def test_a_pipeline_that_nobody_serves_has_lag_where_somebody_has_to_read(connection: Connection) -> None:
    """Ingestion and inference are shown though they were never started; drift is not, which nobody needs."""
    observer = Observer(connection)
    assert observer.look()
    samples = (sample for family in observer.collect() for sample in family.samples)
    lags = [sample.labels for sample in samples if sample.name == "freshet_lag_records"]
    assert {(labels["service"], labels["topic"]) for labels in lags} == {
        ("ingestion", "events"),
        ("ingestion", "feedback"),
        ("inference", "features"),
    }
    observer.close()
