"""Every number that is shown against what the topics of a real Kafka hold."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from freshet.avro.control import decode
from freshet.contracts.messages import Outcomes
from freshet.operate.connection import connect
from freshet.operate.observer.observer import Observer
from freshet.operate.records import readable
from freshet.quality.arrival import EVERY_ROWS
from freshet.runtime.metrics.catalogue_of_metrics import CATALOGUE
from freshet.runtime.metrics.of_services import CONTROL_REFUSED, JOBS_FAILED, REWINDS
from freshet.runtime.metrics.of_topics import ALARMS, LABELLED, MEAN_ABSOLUTE_ERROR
from freshet.runtime.reading import everything
from freshet.runtime.settings import load_settings
from support.observed import PIPELINE, Observed, observed
from support.promtool import checked, prometheus
from support.services import until
from tools.observability.__main__ import ROOT
from tools.observability.dashboard import ROWS
from tools.observability.rules import ALERTS

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


PAGES: Final = 'ALERTS{severity="page"}'

QUIET: Final = frozenset({MEAN_ABSOLUTE_ERROR, LABELLED, ALARMS, REWINDS, CONTROL_REFUSED, JOBS_FAILED})
"""What this stream may have none of: it is no regression, no time for labels is over, and nothing has to go wrong."""


@pytest.fixture(scope="module")
def here(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    """A stream that stands still, all of it answered."""
    with observed(kafka, tmp_path_factory.mktemp("observed")) as made:
        yield made


def rows(here: Observed, role: str) -> list[dict[str, Any]]:
    """Every record of a topic as a plain reader sees it."""
    known = readable(here.stage.bus)
    return [row for batch in everything(here.stage.bus, role) for row in known.rows(batch)]


def test_promtool_has_no_fault_to_find(here: Observed) -> None:
    """Names, units and help texts of everything that a process shows are as Prometheus wants them."""
    assert {name: checked("check", "metrics", given=here.scrape(name)) for name in here.ports} == dict.fromkeys(
        here.ports, ""
    )


def test_what_services_counted_is_what_the_topics_hold(here: Observed) -> None:
    """Inputs, outputs, bytes, and dead letters by topic and reason."""
    told = [row["headers"] for row in rows(here, "dead-letters")]
    letters = Counter((headers["freshet.topic"], headers["freshet.reason"]) for headers in told)
    assert letters
    for (topic, reason), count in letters.items():
        role = topic.rpartition(".")[2]
        process = "inference-0" if role == "features" else "ingestion-0"
        assert here.one(process, "freshet_dead_letters_total", topic=role, reason=reason) == count
    events = sum(map(len, everything(here.stage.bus, "events")))
    assert here.one("ingestion-0", "freshet_records_consumed_total", topic="events") == events
    written = [value for batch in everything(here.stage.bus, "predictions") for value in batch.values]
    assert here.one("inference-0", "freshet_records_produced_total", topic="predictions") == len(written)
    assert here.one("inference-0", "freshet_produced_bytes_total", topic="predictions") == sum(
        len(value or b"") for value in written
    )
    of_events = sum(count for (topic, _), count in letters.items() if topic.endswith(".events"))
    assert here.one("ingestion-0", "freshet_records_produced_total", topic="features") == events - of_events


def test_a_verdict_over_the_last_minutes_is_shown(here: Observed) -> None:
    """Events = predictions + dead letters + waiting, as `freshet verify` counts them; nothing broke a promise."""
    observer = Observer(connect(load_settings(here.kafka, namespace=here.stage.names.namespace)))
    try:
        observer.look()
        observer.judge(10)
        shown = {
            (sample.name, *sample.labels.values()): sample.value
            for family in observer.collect()
            for sample in family.samples
        }
    finally:
        observer.close()
    breaches = [value for (name, *_), value in shown.items() if name == "freshet_verify_breaches"]
    assert breaches
    assert set(breaches) == {0}
    became = {labels[-1]: value for (name, *labels), value in shown.items() if name == "freshet_verify_records"}
    letters = [row["headers"]["freshet.topic"] for row in rows(here, "dead-letters")]
    events = sum(map(len, everything(here.stage.bus, "events")))
    assert became == {"prediction": events - len(letters), "dead_letter": len(letters), "waiting": 0}


def test_the_lag_of_a_stream_that_stands_still_is_zero(here: Observed) -> None:
    """Though every end lies beyond what groups have committed, for the markers of transactions."""
    for series in ("freshet_lag_records", "freshet_lag_seconds", "freshet_path_lag_seconds"):
        assert here.one("observe", series, pipeline=PIPELINE) == 0
    ends = here.stage.admin.end_offsets(here.stage.names.topic("features"))
    committed = here.stage.committed("inference", "features")
    assert any(ends[at] > one.offset for at, one in committed.items())


def _of(row: dict[str, Any]) -> str:
    return str(row["value"]["event_id"])


def test_join_coverage_and_quality_are_those_of_predictions_and_labels(here: Observed) -> None:
    """Recounted in the order of the labelled log, in whole blocks of rows as evaluations are made."""
    labels, answers = ({_of(row): row for row in rows(here, role)} for role in ("labels", "predictions"))
    places = {(row["partition"], row["offset"]): event for event, row in answers.items()}
    right = list[bool]()
    for batch in everything(here.stage.bus, "outcomes"):
        for value in batch.values:
            record = decode("outcomes", value or b"")
            assert isinstance(record, Outcomes)
            for at in np.frombuffer(record.prediction_offset, "<i8").tolist():
                event = places[record.partition, at]
                answer, label = answers[event], labels[event]
                if label["timestamp_ms"] > answer["timestamp_ms"]:  # else it was known already
                    right.append(answer["value"]["label"] == label["value"]["label"])
    whole = right[: len(right) // EVERY_ROWS * EVERY_ROWS][-1000:]
    assert len(whole) >= EVERY_ROWS
    assert here.one("observe", "freshet_accuracy_ratio", series="served") == pytest.approx(sum(whole) / len(whole))
    assert here.one("drift-0", "freshet_join_coverage_ratio") == 1.0
    assert here.one("drift-0", "freshet_open_prediction_records") == len(answers.keys() - labels.keys())


def test_models_epochs_and_workers_are_those_of_the_control_topics(here: Observed) -> None:
    """One version serves, and every service is there."""
    live = here.stage.view.ledger.epochs.live_epoch
    assert here.one("inference-0", "freshet_live_epoch") == live
    assert here.one("observe", "freshet_epoch_in_force", pipeline=PIPELINE) == live
    assert here.one("inference-0", "freshet_resident_models") == 1
    of = {"inference": PIPELINE, "ingestion": PIPELINE, "drift-join": PIPELINE, "registry": ""}
    for service, pipeline in of.items():
        assert here.one("observe", "freshet_workers", service=service, pipeline=pipeline, state="alive") == 1
    assert here.one("registry", "freshet_job_duration_seconds_count") >= 1


def test_a_model_is_as_fresh_as_the_newest_label_that_it_learned_from(here: Observed) -> None:
    """By its lineage; and from that label until it went live."""
    (tenure,) = here.stage.view.ledger.epochs.history()
    shown = here.one("observe", "freshet_label_to_live_seconds", pipeline=PIPELINE)
    assert shown == (tenure.since_ms - here.trained_through_ms) / 1000
    age_s = time.time() - here.trained_through_ms / 1000
    assert here.one("observe", "freshet_freshness_seconds", pipeline=PIPELINE) == pytest.approx(age_s, abs=60)


def test_every_query_of_the_dashboard_and_of_alerts_returns_data(here: Observed, tmp_path: Path) -> None:
    """A real Prometheus scrapes all and is asked; a misspelt metric would be an empty answer. And nothing pages."""
    with prometheus(tmp_path, here.ports, ROOT / "observability/alerts.yml") as ask:
        for panel in (panel for row in ROWS.values() for panel in row):
            found = ask(panel.expr)  # none of it is an error
            if panel.metric not in QUIET and not found:
                until(partial(ask, panel.expr), f"{panel.title}: {panel.expr}")
        for alert in ALERTS:
            ask(alert.expr)
        until(lambda: ask('ALERTS{alertname="FreshetRetrainingGone"}'), "the only alert: nobody trains here")
        # An alert that a busy machine made pending goes by; one that stays would page.
        with suppress(AssertionError):
            until(lambda: not ask(PAGES), "no alert that pages")
        assert ask(PAGES) == []


def test_every_metric_of_the_catalogue_that_has_a_value_is_shown_by_somebody(here: Observed) -> None:
    """But those of the edges, which do not run here; and nothing under our name that the catalogue does not know."""
    lines = [line.split() for name in here.ports for line in here.scrape(name).splitlines()]
    shown = {words[2] for words in lines if words[:2] == ["#", "TYPE"] and words[2].startswith("freshet_")}
    assert shown == {metric.name for metric in CATALOGUE if metric.source not in {"console", "gateway", "webhook"}}
