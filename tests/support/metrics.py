"""Which metrics a PromQL expression asks for, and which there are."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final

import promql_parser

from freshet.runtime.metrics.catalogue_of_metrics import CATALOGUE

_SERIES: Final = re.compile(r"\b(?:freshet_\w+|up)\b(?:\{([^}]*)\})?")
_GROUPED: Final = re.compile(r"\b(?:by|without)\s*\(([^)]*)\)")
_GIVEN_BY_PROMETHEUS: Final = frozenset({"instance", "job", "le", "pod", "namespace", "container"})


@cache
def there_are() -> Mapping[str, frozenset[str]]:
    """Every series that somebody shows, with its labels."""
    found = {"up": frozenset[str]()}
    for metric in CATALOGUE:
        endings = ("_bucket", "_sum", "_count") if metric.kind_name == "histogram" else ("",)
        found |= {metric.name + ending: frozenset(metric.labels) for ending in endings}
    return found


def mistakes(expression: str) -> Iterator[str]:
    """What Prometheus would refuse or find empty: syntax, metrics and labels that no service has."""
    try:
        promql_parser.parse(expression.replace("$__rate_interval", "5m"))
    except ValueError as error:
        yield f"{expression}: {error}"
        return
    known = there_are()
    asked = [found[0].partition("{")[0] for found in _SERIES.finditer(expression)]
    if not asked:
        yield f"{expression} asks for nothing of ours"
    yield from (f"{expression}: no metric {name}" for name in asked if name not in known)
    labels = _GIVEN_BY_PROMETHEUS.union(*(known.get(name, frozenset()) for name in asked))
    grouped = (label.strip() for group in _GROUPED.findall(expression) for label in group.split(","))
    yield from (f"{expression}: no label {label}" for label in grouped if label not in labels)
