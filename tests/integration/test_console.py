"""What the console says of a stream on a real Kafka equals what topics and Kafka themselves say."""

import threading
import time
from collections.abc import Callable
from itertools import islice
from typing import Final

import pytest

from freshet.console.core.flowing import Wire
from freshet.console.core.pipeline_screen import PipelineScreen
from freshet.console.core.quality_course import SERVED
from freshet.console.snapshot import Snapshot
from freshet.console.watching import Watching
from freshet.lab.demo import loans
from freshet.lab.demo.training import train_and_pack
from freshet.lab.local_deployment import LocalDeployment
from freshet.operate.connection import Connection, connect
from freshet.operate.facts import ledger_of, read
from freshet.operate.lag.lag_reader import lag
from freshet.operate.quality.series_quality import Evaluations, quality
from freshet.operate.redrive import Wanted, dead_records, groups
from freshet.operate.tables.features import feature_rows
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.settings import load_settings

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

BATCHES: Final = 12
WAIT_S: Final = 60.0


@pytest.fixture
def stage(stage: LocalDeployment) -> LocalDeployment:
    """The loans pipeline and all its services."""
    stage.start()
    return stage


@pytest.fixture
def connection(kafka: str, namespace: str) -> Connection:
    """To the same Kafka."""
    return connect(load_settings(kafka, namespace=namespace))


def send(stage: LocalDeployment, batches: int, name: str) -> None:
    """Batches of applications, some of them damaged, and their labels."""
    source = loans.Applications(stage.schema, seed=5, name=name)
    load = stage.load(rate=2000.0, corrupt_share=0.05, labels_after=100, seed=5)
    for _ in load.publish(islice(source, batches)):
        pass


def watched(connection: Connection, wanted: Callable[[Snapshot], bool]) -> PipelineScreen:
    """What a console that starts now shows, once it shows what is waited for."""
    stop = threading.Event()
    watching = Watching(connection, stop)
    watching.watch("loans")
    watching.start()
    deadline = time.monotonic() + WAIT_S
    try:
        while time.monotonic() < deadline:
            found = watching.snapshot
            if found is not None and "loans" in found.screens and found.overview.kafka.caught_up and wanted(found):
                return found.screens["loans"]
            time.sleep(0.1)
        raise AssertionError(f"waited {WAIT_S:.0f} s in vain; the newest is {watching.snapshot}")
    finally:
        stop.set()
        watching.join()


def is_measured(found: Snapshot) -> bool:
    """Whether Kafka was asked for everything."""
    screen = found.screens["loans"]
    return bool(screen.flowing.lags_ms) and screen.aside.letters is not None


def says_no(found: Snapshot) -> bool:
    """Whether it is told that nothing flows."""
    return found.screens["loans"].flowing.answer.sentence.startswith("No: ")


def test_its_numbers_are_those_of_topics_and_of_kafka(stage: LocalDeployment, connection: Connection) -> None:
    """Lag as `freshet lag` tells it, quality as the evaluations add up, dead letters as they are counted."""
    sample = loans.sample(stage.schema, 2000, seed=1)
    rows, labels = feature_rows(stage.spec, stage.schema, sample)
    bundle = train_and_pack("linear", rows, labels, stage.spec).bundle
    version = stage.offer(bundle.data, bundle.manifest).version
    stage.wait_live(version)
    send(stage, BATCHES, "early")
    stage.wait_drained()
    stage.wait_evaluated()

    screen = watched(connection, is_measured)
    wires = [one for one in (*screen.flowing.upper, *screen.flowing.lower) if isinstance(one, Wire)]
    assert [wire.records for wire in wires] == [0, 0, 0, 0]
    assert screen.answerers.answer.sentence == f"{version} answers everything."
    assert dict(screen.answerers.cut_at) == stage.wait_cut(screen.answerers.epoch)

    evaluations = Evaluations("loans")
    evaluations.take(read(connection.bus(), "evaluations"))
    ledger = ledger_of(connection.bus(), "models", "rollouts", "cutovers").of("loans")
    (served,) = quality(evaluations.records, ledger, names=[SERVED]).series
    shown = next(line for line in screen.right.lines if line.role == "served")
    assert sum(point.rows for point in shown.points) == served.counts.rows
    right = sum(point.value * point.rows for point in shown.points)
    assert right / served.counts.rows == pytest.approx(served.metrics.accuracy)

    told = {group.reason: group.count for group in groups(dead_records(stage.bus, Wanted()))}
    assert screen.aside.letters is not None
    assert {row.reason: row.count for row in screen.aside.letters.rows} == told

    stage.supervisor.stop("inference-0")
    send(stage, 2, "late")
    stage.view.wait("ingestion", lambda _: stage.unread("ingestion", "events") == 0 or None)
    screen = watched(connection, lambda found: is_measured(found) and says_no(found))
    behind = {(hop.service, hop.role): hop.records for hop in lag(connection, "loans").hops}
    assert screen.flowing.answer.sentence == "No: inference does not run, so no event is answered."
    wire = screen.flowing.upper[3]
    assert wire.records == behind["inference", "features"] > 0  # type: ignore[union-attr]
    assert sum(bar.records for bar in screen.flowing.bars) == behind["inference", "features"]


def test_it_starts_without_kafka_and_says_so() -> None:
    """One sentence, on every page, until somebody answers."""
    nowhere = "127.0.0.1:1"
    connection = Connection(nowhere, "", {}, KafkaAdmin(nowhere, timeout_s=0.5))
    stop = threading.Event()
    watching = Watching(connection, stop)
    watching.start()
    deadline = time.monotonic() + WAIT_S
    seen: dict[int, Snapshot] = {}
    while len(seen) < 2 and time.monotonic() < deadline:
        seen |= {one.number: one for one in [watching.snapshot] if one is not None}
        time.sleep(0.1)
    found, alive = max(seen.items(), default=(0, None))[1], watching.is_alive()
    stop.set()
    watching.join()
    assert found is not None
    assert alive, "it goes on trying"
    assert len(seen) == 2
    assert found.overview.kafka.trouble
    assert found.overview.kafka_answer.kind == "bad"
