"""`python -m tools.observability`: writes alerts, the dashboard and the pages of docs/ that follow from catalogues."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tools.observability.asyncapi import asyncapi
from tools.observability.dashboard import dashboard
from tools.observability.documents import metrics_page, requirements_page, runbook_page, topics_page
from tools.observability.rules import prometheus_rule, rules

ROOT: Final = Path(__file__).parents[2]
FILES: Final[Mapping[str, Callable[[], str]]] = {
    "observability/alerts.yml": rules,
    "k8s/components/monitoring/rules.yaml": prometheus_rule,
    "docker/grafana/dashboards/freshet.json": dashboard,
    "docs/metrics.md": metrics_page,
    "docs/requirements.md": requirements_page,
    "docs/runbook.md": runbook_page,
    "docs/topics.md": topics_page,
    "docs/asyncapi.yaml": asyncapi,
}
"""What is written, by its place in this folder."""


def main() -> int:
    """Write all of them, and say so."""
    for name, text in FILES.items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text(), encoding="utf-8")
        print(f"wrote {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
