"""Prometheus's rules, and the same for the Prometheus operator, from the alerts."""

from typing import Any, Final

import yaml

from tools.observability.alert import Alert
from tools.observability.alerts_of_models import MODELS
from tools.observability.alerts_of_stream import STREAM

HEAD: Final = "# Written by `python -m tools.observability`; edits are overwritten.\n"

GROUPS: Final = {"freshet-stream": STREAM, "freshet-models": MODELS}
ALERTS: Final = (*STREAM, *MODELS)


def rules() -> str:
    """For `rule_files` of Prometheus."""
    return HEAD + _yaml(_groups())


def prometheus_rule() -> str:
    """For the Prometheus operator."""
    resource = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "freshet", "labels": {"app.kubernetes.io/part-of": "freshet"}},
        "spec": _groups(),
    }
    return HEAD + _yaml(resource)


def _groups() -> dict[str, Any]:
    return {"groups": [{"name": name, "rules": [_rule(alert) for alert in alerts]} for name, alerts in GROUPS.items()]}


def _rule(alert: Alert) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": alert.lasts,
        "labels": {"severity": alert.severity},
        "annotations": {"summary": alert.summary, "description": alert.means, "runbook_url": alert.anchor},
    }


def _yaml(document: object) -> str:
    return yaml.safe_dump(document, sort_keys=False, width=1000, allow_unicode=True)
