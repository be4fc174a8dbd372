"""Grafana's dashboard, from the catalogue of metrics."""

import json
from typing import Any, Final, Literal, NamedTuple

from freshet.runtime.metrics import of_services as service
from freshet.runtime.metrics import of_topics as seen
from freshet.runtime.metrics.metric import Metric

_UNITS: Final = {
    "records": "short",
    "bytes": "bytes",
    "seconds": "s",
    "ratio": "percentunit",
    "partitions": "short",
    "models": "short",
    "count": "short",
    "number": "short",
}
"""Grafana's words for our units."""
_WIDTH, _HEIGHT, _ACROSS = 8, 8, 24


class Panel(NamedTuple):
    """A picture of one metric."""

    title: str
    metric: Metric[Any]
    how: Literal["sum", "max", "min", "rate", "p99"]
    """How series are put together; rate: per second; p99: what 99 of 100 stay below."""
    by: str
    """The labels that are told apart."""

    @property
    def expr(self) -> str:
        """In PromQL."""
        name, labels = self.metric.name, ", ".join(self.by.split())
        if self.how == "p99":
            return f"histogram_quantile(0.99, sum by ({labels}, le) (rate({name}_bucket[$__rate_interval])))"
        if self.how == "rate":
            return f"sum by ({labels}) (rate({name}[$__rate_interval]))"
        return f"{self.how} by ({labels}) ({name})"

    @property
    def unit(self) -> str:
        """As Grafana calls it."""
        if self.how == "rate":
            return "Bps" if self.metric.unit == "bytes" else "cps"
        return _UNITS[self.metric.unit]


ROWS: Final[dict[str, tuple[Panel, ...]]] = {
    "Is it flowing?": (
        Panel("Oldest event under way", seen.PATH_LAG_SECONDS, "max", "pipeline end"),
        Panel("Records under way", seen.PATH_LAG_RECORDS, "max", "pipeline end"),
        Panel("Oldest unread record", seen.LAG_SECONDS, "max", "pipeline service topic"),
        Panel("Unread records", seen.LAG_RECORDS, "sum", "pipeline service topic"),
        Panel("Records answered", service.RECORDS_CONSUMED, "rate", "service topic"),
        Panel("From arrival to answer, p99", service.ANSWER_DELAY, "p99", "service pipeline"),
        Panel("Partitions that wait", service.HELD_PARTITIONS, "sum", "service pipeline"),
        Panel("Stuck transactions", seen.STUCK_TRANSACTIONS, "sum", "pipeline topic"),
        Panel("Offsets behind open transactions", seen.HIDDEN_OFFSETS, "sum", "pipeline topic"),
        Panel("Processes", seen.WORKERS, "sum", "pipeline service state"),
        Panel("Ready", service.READY, "min", "service instance"),
        Panel("Age of what is seen", seen.OBSERVED_AGE, "max", "pipeline"),
    ),
    "Who answers, and how fresh is it?": (
        Panel("Epoch in force", seen.EPOCH_IN_FORCE, "max", "pipeline"),
        Panel("Epoch of workers", service.LIVE_EPOCH, "min", "pipeline instance"),
        Panel("Models loaded", service.RESIDENT_MODELS, "sum", "pipeline instance"),
        Panel("Models quarantined", service.QUARANTINED_MODELS, "sum", "pipeline instance"),
        Panel("Age of the newest label learned", seen.FRESHNESS, "max", "pipeline"),
        Panel("From label to live", seen.LABEL_TO_LIVE, "max", "pipeline"),
    ),
    "Is it right, and what has changed?": (
        Panel("Right answers", seen.ACCURACY, "min", "pipeline series"),
        Panel("Error of regressions", seen.MEAN_ABSOLUTE_ERROR, "max", "pipeline series"),
        Panel("Predictions whose label has come", service.JOIN_COVERAGE, "min", "pipeline"),
        Panel("Of the last day, those with a label", seen.LABELLED, "min", "pipeline"),
        Panel("Open episodes of drift", seen.OPEN_EPISODES, "sum", "pipeline"),
        Panel("Alarms", seen.ALARMS, "sum", "pipeline detector cause level"),
        Panel("Trainings", seen.TRAININGS, "sum", "pipeline phase"),
        Panel("Trainings under way", seen.TRAININGS_OPEN, "sum", "pipeline"),
        Panel("Mean delay of labels", service.LABEL_DELAY, "max", "pipeline"),
        Panel("Predictions without a label yet", service.OPEN_PREDICTIONS, "sum", "pipeline"),
        Panel("Labels that wait for a prediction", service.WAITING_LABELS, "sum", "pipeline"),
        Panel("State of the label join", service.STATE_BYTES, "sum", "pipeline instance"),
    ),
    "What was set aside, or done twice?": (
        Panel("Dead letters", service.DEAD_LETTERS, "rate", "pipeline topic reason"),
        Panel("Batches read again", service.REWINDS, "rate", "service cause"),
        Panel("Rebalances", service.REBALANCES, "rate", "service pipeline"),
        Panel("Breaches of promises", seen.BREACHES, "sum", "pipeline"),
        Panel("Control records refused", service.CONTROL_REFUSED, "rate", "service topic"),
        Panel("Jobs that failed", service.JOBS_FAILED, "rate", "service job"),
    ),
    "What does it cost?": (
        Panel("Transactions", service.TRANSACTIONS, "rate", "service"),
        Panel("Commit, p99", service.COMMIT_SECONDS, "p99", "service"),
        Panel("Answering a batch, p99", service.LOGIC_SECONDS, "p99", "service"),
        Panel("Reading and writing the records of a batch, p99", service.CODEC_SECONDS, "p99", "service step"),
        Panel("Records in a batch, p99", service.BATCH_ROWS, "p99", "service"),
        Panel("Bytes read", service.BYTES_CONSUMED, "rate", "service topic"),
        Panel("Bytes written", service.BYTES_PRODUCED, "rate", "service topic"),
        Panel("Loading, admission, training, p99", service.JOB_SECONDS, "p99", "service job"),
        Panel("Disk, written", service.DISK_WRITTEN, "rate", "instance"),
        Panel("Network, sent", service.NETWORK_SENT, "rate", "instance"),
    ),
}
"""A row asks a question; its panels are the proof."""


def dashboard() -> str:
    """The dashboard as Grafana reads it."""
    panels: list[dict[str, Any]] = []
    top = 0
    for question, row in ROWS.items():
        place = {"x": 0, "y": top, "w": _ACROSS, "h": 1}
        panels.append(
            {
                "id": len(panels) + 1,
                "type": "row",
                "title": question,
                "collapsed": False,
                "gridPos": place,
                "panels": [],
            }
        )
        top += 1
        for at, panel in enumerate(row):
            x, y = at * _WIDTH % _ACROSS, top + at * _WIDTH // _ACROSS * _HEIGHT
            panels.append(_panel(len(panels) + 1, panel, x, y))
        top += -(-len(row) * _WIDTH // _ACROSS) * _HEIGHT
    document = {
        "uid": "freshet",
        "title": "Freshet",
        "tags": ["freshet"],
        "timezone": "browser",
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "refresh": "15s",
        "time": {"from": "now-1h", "to": "now"},
        "panels": panels,
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _title(number: int, question: str, y: int) -> dict[str, Any]:
    place = {"x": 0, "y": y, "w": _ACROSS, "h": 1}
    return {"id": number, "type": "row", "title": question, "collapsed": False, "gridPos": place, "panels": []}


def _panel(number: int, panel: Panel, x: int, y: int) -> dict[str, Any]:
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.metric.meaning,
        "datasource": {"type": "prometheus", "uid": "prometheus"},
        "gridPos": {"x": x, "y": y, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {
                "refId": "A",
                "expr": panel.expr,
                "legendFormat": " ".join(f"{{{{{label}}}}}" for label in panel.by.split()),
            }
        ],
    }
