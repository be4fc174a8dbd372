"""Models that kill or hang real workers: every event still has its one end, and the worker serves on."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from freshet.avro import Columns, Decoder, Strings
from freshet.avro.own_schemas import current_schema
from freshet.contracts.messages import ModelVersion
from freshet.contracts.shipped import pipelines_dir
from freshet.lab.demo import loans
from freshet.lab.demo.training import train_and_pack
from freshet.lab.local_deployment import LocalDeployment
from freshet.operate.tables.events import Events
from freshet.operate.tables.features import feature_rows
from freshet.operate.verify.collect import collect
from freshet.operate.verify.judge import Judgement, judge
from freshet.runtime.reading import everything
from support import deadly_worker
from support.deadly_worker import HANGS, KILLS

pytestmark = [pytest.mark.kafka, pytest.mark.e2e, pytest.mark.timeout(600)]

WORKER = "inference-0"
ROWS = 600


class Deadly(LocalDeployment):
    """Loans with one inference worker, whose models misbehave on marked rows."""

    def begin(self, bootstrap_servers: str, state: Path) -> None:
        """Publish the pipeline and start all services."""
        self.apply()
        self.start()
        env = {
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
            "FRESHET_NAMESPACE": self.names.namespace,
            "FRESHET_STATE_DIR": str(state),
        }
        command = [sys.executable, str(Path(deadly_worker.__file__)), "run", "inference", "--pipelines", "loans"]
        self.supervisor.start(WORKER, command, env)
        self.events = loans.sample(self.schema, ROWS, seed=5)
        self.features, self.labels = feature_rows(self.spec, self.schema, self.events)

    def roll_out(self, kind: str) -> ModelVersion:
        """Train a model of that kind and wait until the worker answers with it."""
        bundle = train_and_pack(kind, self.features, self.labels, self.spec).bundle
        admitted = self.offer(bundle.data, bundle.manifest)
        self.wait_served(admitted.version)
        return admitted

    def wait_served(self, version: str) -> None:
        """Wait until the next row is answered under the epoch in which this version is live."""
        epoch = self.wait_live(version).epoch
        self.view.wait(
            f"the worker to reach epoch {epoch}",
            lambda view: any(beat.worker.live_epoch >= epoch for beat in view.ledger.workers.beats.values()),
        )

    def send(self, name: str, salaries: dict[int, float]) -> None:
        """Publish the events under ids of their own, some with these salaries, and wait until all are answered."""
        marked = np.array(self.events.columns["salary"], np.float64)
        marked[list(salaries)] = list(salaries.values())
        ids = Strings.from_list([f"{name}-{row}" for row in range(ROWS)])
        list(self.load().publish([Events({**self.events.columns, "salary": marked, "event_id": ids})]))
        self.wait_drained()

    def judgement(self) -> Judgement:
        """What `freshet verify` says."""
        return judge(collect(self.bus, self.spec.pipeline, self.committed))

    def predictions(self) -> list[Columns]:
        """All predictions, decoded."""
        decoder = Decoder(current_schema("Prediction"))
        return [decoder.decode(batch.values).columns for batch in everything(self.bus, "predictions")]

    def answered_by(self, event_id: str) -> list[tuple[str, int]]:
        """(version, fallback) of each prediction on this event."""
        found = []
        for columns in self.predictions():
            ids, versions, fallbacks = columns["event_id"], columns["version"], np.asarray(columns["fallback"])
            assert isinstance(ids, Strings)
            assert isinstance(versions, Strings)
            rows = zip(ids.tolist(), versions.tolist(), fallbacks.tolist(), strict=True)
            found += [(version, fallback) for name, version, fallback in rows if name == event_id]
        return found

    def dead(self) -> list[dict[str, bytes]]:
        """The headers of every dead letter."""
        batches = everything(self.bus, "dead-letters")
        records = (record for batch in batches for record in batch.records)
        return [{name: value or b"" for name, value in record.headers() or ()} for record in records]


@pytest.fixture
def deadly(kafka: str, namespace: str, tmp_path: Path) -> Iterator[Deadly]:
    """All services run; there is no model yet."""
    stage = Deadly(kafka, namespace, pipelines_dir() / "loans", tmp_path / "logs", workers=0)
    with stage:
        stage.begin(kafka, tmp_path / "state")
        yield stage


def test_a_row_that_kills_is_the_only_one_that_is_set_aside(deadly: Deadly) -> None:
    """Three deaths name it; everything else is answered once, before and after, by the same worker and version."""
    version = deadly.roll_out("linear").version
    deadly.send("first", {})
    deadly.send("second", {300: KILLS})
    deadly.send("third", {})
    (letter,) = deadly.dead()
    assert letter["freshet.reason"] == b"model_crashed"
    assert letter["freshet.role"] == b"features"
    assert version.encode() in letter["freshet.detail"]
    assert deadly.supervisor.restarts(WORKER) == 3
    assert deadly.answered_by("second-300") == []
    assert deadly.answered_by("third-300") == [(version, 0)]
    judgement = deadly.judgement()
    assert judgement.ok, judgement
    assert (judgement.answered, judgement.dead, judgement.pending) == (3 * ROWS - 1, 1, 0)


def test_a_model_that_hangs_is_replaced_without_a_restart(deadly: Deadly) -> None:
    """Its understudy answers the row at once; the registry takes the version out of service."""
    linear = deadly.roll_out("linear").version
    deadly.send("first", {})
    trees = deadly.roll_out("trees").version
    deadly.send("second", {300: HANGS})
    assert deadly.answered_by("second-300") == [(linear, 1)]
    deadly.wait_served(linear)
    deadly.send("third", {300: HANGS})
    assert deadly.answered_by("third-300") == [(linear, 0)]
    assert deadly.view.ledger.versions.records[trees].state == "quarantined"
    assert deadly.supervisor.restarts(WORKER) == 0
    assert deadly.dead() == []
    judgement = deadly.judgement()
    assert judgement.ok, judgement
    assert (judgement.answered, judgement.pending) == (3 * ROWS, 0)
