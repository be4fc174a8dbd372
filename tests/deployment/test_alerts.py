"""Alerts, the dashboard and the pages made from catalogues: fresh, right to Prometheus, and each alert is raised."""

import re
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
import yaml

from support.metrics import mistakes
from support.promtool import checked
from tools.observability.__main__ import FILES, ROOT
from tools.observability.alert import RUNBOOK, Alert
from tools.observability.rules import ALERTS

RULES: Final = ROOT / "observability/alerts.yml"
ROUTES: Final = ROOT / "observability/alertmanager.yml"
_BAD, _GOOD = 0, 1


class Case(NamedTuple):
    """Series by their name and labels, each with values that raise the alert and values that do not."""

    series: dict[str, tuple[str, str]]
    labels: str
    """Of the alert, as PromQL writes them."""
    after: str = "2h"


def one(series: str, bad: str, good: str, labels: str, after: str = "2h") -> Case:
    """A case of one series."""
    return Case({series: (bad, good)}, labels, after)


_P: Final = 'pipeline="p"'
_S: Final = 'pipeline="p", service="s"'

CASES: Final = {
    "FreshetAnswersLate": one(
        f'freshet_path_lag_seconds{{end="prediction", {_P}}}', "70x200", "3x200", f'end="prediction", {_P}'
    ),
    "FreshetOutcomesLate": one(
        f'freshet_path_lag_seconds{{end="outcome", {_P}}}', "1000x200", "70x200", f'end="outcome", {_P}'
    ),
    "FreshetStuckTransaction": one(
        f'freshet_stuck_transactions{{topic="features", {_P}}}', "1x200", "0x200", f'topic="features", {_P}'
    ),
    "FreshetServiceGone": one(
        f'freshet_workers{{state="alive", service="inference", {_P}}}', "0x200", "1x200", f'service="inference", {_P}'
    ),
    "FreshetHelperGone": one(
        f'freshet_workers{{state="alive", service="drift-join", {_P}}}', "0x200", "1x200", f'service="drift-join", {_P}'
    ),
    "FreshetWorkerSilent": one(f'freshet_workers{{state="silent", {_S}}}', "1x200", "0x200", _S),
    "FreshetNobodyServes": one(f"freshet_ready{{{_S}}}", "0x200", "1x200", _S),
    "FreshetPartitionsWait": one(f"freshet_held_partitions{{{_S}}}", "2x200", "0x200", _S),
    "FreshetUnaccounted": Case(
        {
            'freshet_records_consumed_total{topic="events", pipeline="p", service="ingestion"}': (
                "0+10x200",
                "0+10x200",
            ),
            'freshet_records_produced_total{topic="features", pipeline="p", service="ingestion"}': (
                "0+8x200",
                "0+9x200",
            ),
            'freshet_records_produced_total{topic="dead-letters", pipeline="p", service="ingestion"}': (
                "0+1x200",
                "0+1x200",
            ),
        },
        'pipeline="p", service="ingestion"',
    ),
    "FreshetNoEvents": one(
        f'freshet_records_consumed_total{{topic="events", {_S}}}', "0+10x30 300x170", "0+10x200", _P
    ),
    "FreshetPromiseBroken": one(f'freshet_verify_breaches{{check="c", {_P}}}', "1x200", "0x200", f'check="c", {_P}'),
    "FreshetManyBadEvents": Case(
        {
            f'freshet_dead_letters_total{{topic="events", reason="input_range", {_S}}}': ("0+20x200", "0+5x200"),
            f'freshet_records_consumed_total{{topic="events", {_S}}}': ("0+100x200", "0+100x200"),
        },
        _P,
    ),
    "FreshetReadsAgain": one(
        f'freshet_rewinds_total{{cause="refused", {_S}}}', "0+5x200", "0x200", f'cause="refused", {_S}'
    ),
    "FreshetRebalancesOften": one(f"freshet_rebalances_total{{{_S}}}", "0+5x200", "0x200", _S),
    "FreshetCommitsSlow": Case(
        {
            f'freshet_commit_duration_seconds_bucket{{le="1.0", {_S}}}': ("0x200", "0+10x200"),
            f'freshet_commit_duration_seconds_bucket{{le="5.0", {_S}}}': ("0+10x200", "0+10x200"),
            f'freshet_commit_duration_seconds_bucket{{le="+Inf", {_S}}}': ("0+10x200", "0+10x200"),
        },
        'service="s"',
    ),
    "FreshetModelFails": one(
        f'freshet_dead_letters_total{{topic="features", reason="model_not_finite", {_S}}}',
        "0+1x200",
        "0x200",
        f'reason="model_not_finite", {_P}',
    ),
    "FreshetWorkersBehind": Case(
        {f"freshet_epoch_in_force{{{_P}}}": ("7x200", "7x200"), f"freshet_live_epoch{{{_S}}}": ("6x200", "7x200")}, _P
    ),
    "FreshetDriftDetected": one(f"freshet_open_episodes{{{_P}}}", "1x200", "0x200", _P),
    "FreshetWorseThanMajority": Case(
        {
            f'freshet_accuracy_ratio{{series="served", {_P}}}': ("0.5x200", "0.9x200"),
            f'freshet_accuracy_ratio{{series="baseline:majority", {_P}}}': ("0.6x200", "0.6x200"),
        },
        f'series="served", {_P}',
    ),
    "FreshetModelStale": one(f"freshet_freshness_seconds{{{_P}}}", "900000x200", "3600x200", _P),
    "FreshetTrainingsFail": one(f'freshet_trainings_total{{phase="failed", {_P}}}', "0+1x200", "3x200", _P),
    "FreshetJobsFail": one(
        f'freshet_jobs_failed_total{{job="LoadModel", {_S}}}', "0+1x200", "3x200", 'job="LoadModel", service="s"'
    ),
    "FreshetControlRecordsRefused": one(
        f'freshet_control_records_refused_total{{topic="models", {_S}}}',
        "0+1x200",
        "3x200",
        'topic="models", service="s"',
    ),
    "FreshetRegistryGone": one('freshet_ready{service="registry"}', "stale", "1x200", 'service="registry"'),
    "FreshetRetrainingGone": one('freshet_ready{service="retraining"}', "stale", "1x200", 'service="retraining"'),
    "FreshetNotSeen": one(f"freshet_observation_age_seconds{{{_P}}}", "0+60x200", "4x200", _P),
    "FreshetObserverGone": one(f"freshet_observation_age_seconds{{{_P}}}", "stale", "4x200", ""),
}


@pytest.mark.parametrize("name", FILES)
def test_what_is_written_is_what_the_catalogues_say(name: str) -> None:
    """After a change of metrics, alerts or topics: python -m tools.observability."""
    assert (ROOT / name).read_text(encoding="utf-8") == FILES[name]()


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_can_be_understood(alert: Alert) -> None:
    """It asks for what there is, names only labels that its expression leaves, and leads to its row in the runbook."""
    assert [*mistakes(alert.expr)] == []
    assert f"\n## {alert.name}\n" in (ROOT / RUNBOOK).read_text()
    named = {*re.findall(r"\$labels\.(\w+)", alert.summary)}
    assert named <= {label.split("=")[0] for label in CASES[alert.name].labels.split(", ")}


def test_promtool_takes_the_rules() -> None:
    """With all that it can complain about."""
    assert checked("check", "rules", "--lint=all", "--lint-fatal", str(RULES)) == ""


@pytest.mark.parametrize("kind", [_BAD, _GOOD], ids=["raised", "silent"])
def test_each_alert_is_raised_by_what_it_is_about_and_by_nothing_else(tmp_path: Path, kind: int) -> None:
    """Prometheus's own engine runs the rules over made series."""
    assert CASES.keys() == {alert.name for alert in ALERTS}
    tests = [_promtool_test(alert, CASES[alert.name], kind) for alert in ALERTS]
    file = tmp_path / "alerts_test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    assert checked("test", "rules", str(file)) == ""


def test_routes_name_each_severity() -> None:
    """The example for the Alertmanager sends pages and tickets somewhere."""
    routes: dict[str, Any] = yaml.safe_load(ROUTES.read_text())
    receivers = {receiver["name"] for receiver in routes["receivers"]}
    matched = {route["receiver"]: route["matchers"] for route in routes["route"]["routes"]}
    assert {routes["route"]["receiver"], *matched} <= receivers
    assert {text for matchers in matched.values() for text in matchers} >= {
        f'severity="{severity}"' for severity in {alert.severity for alert in ALERTS}
    }


def _promtool_test(alert: Alert, case: Case, kind: int) -> dict[str, Any]:
    labels = f", {case.labels}" if case.labels else ""
    full = f'ALERTS{{alertname="{alert.name}", alertstate="firing", severity="{alert.severity}"{labels}}}'
    expected = [] if kind == _GOOD else [{"labels": full, "value": 1}]
    asked = f'ALERTS{{alertname="{alert.name}", alertstate="firing"}}'
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values[kind]} for name, values in case.series.items()],
        "promql_expr_test": [{"expr": asked, "eval_time": case.after, "exp_samples": expected}],
    }
