"""Two trainings beside each other, and all of them as a table for other programs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from freshet.operate.notes import tags_of
from freshet.operate.training_runs import Run

_FIELDS: Final = (
    "trigger",
    "trigger_id",
    "by",
    "phase",
    "reason",
    "specification",
    "trainer",
    "seed",
    "code",
    "environment",
    "from_row",
    "cut_row",
    "end_row",
    "through",
    "trained_through_ms",
    "rows",
    "holdout_rows",
    "data_digest",
    "digest",
    "champion",
    "gate",
    "cpu_ms",
)
_BOUNDS: Final = ("low", "high")

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which two trainings differ, or one of their figures."""

    what: str
    one: str
    other: str
    intervals: Literal["", "apart", "overlap"] = ""
    """Of a figure that both have with its interval of 95 %: whether the two are apart, so that it is no accident."""


def compare(one: Run, other: Run) -> list[Difference]:
    """In what two trainings differ, and all figures of their models; each was measured on a holdout of its own."""
    fields = [(name, str(getattr(one.last, name)), str(getattr(other.last, name))) for name in _FIELDS]
    fields += _pairs("trainer", one.last.params, other.last.params)
    fields += _pairs("classes", one.last.classes, other.last.classes)
    clauses = [dict(enumerate(run.last.clauses, 1)) for run in (one, other)]
    fields += [*_pairs("clause", *clauses), ("version", one.version, other.version)]
    differing = [Difference(*field) for field in fields if field[1] != field[2]]
    names = dict.fromkeys([*figure_names(one.last.metrics), *figure_names(other.last.metrics)])
    return [*differing, *(_measured(name, one.last.metrics, other.last.metrics) for name in sorted(names))]


def figure_names(metrics: Mapping[str, float]) -> list[str]:
    """The figures among metrics, without the ends of their intervals, sorted."""
    ends = {f"{name}.{end}" for name in metrics for end in _BOUNDS}
    return sorted(metrics.keys() - ends)


def figure(metrics: Mapping[str, float], name: str) -> str:
    """A figure with its interval, where it has one; empty where there is none."""
    if name not in metrics:
        return ""
    interval = _interval(metrics, name)
    return f"{metrics[name]:.4g}" + (f" ({interval[0]:.4g} to {interval[1]:.4g})" if interval else "")


def table_rows(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """One flat row for each run: what the record says, and behind a dot parameters, classes, metrics and tags."""
    rows = []
    for run in runs:
        record = run.last.model_dump(mode="json")
        nested = {"trainer": record.pop("params"), "classes": record.pop("classes"), "metrics": record.pop("metrics")}
        record["clauses"] = "; ".join(record["clauses"])
        flat = {f"{group}.{name}": value for group, values in nested.items() for name, value in sorted(values.items())}
        tags = {f"tag.{name}": value for name, value in tags_of(run.notes).items()}
        state = run.model.state if run.model is not None else ""
        rows.append({**record, "began_ms": run.began_ms, "version": run.version, "state": state, **flat, **tags})
    return rows


def _pairs(group: str, one: Mapping[Any, Any], other: Mapping[Any, Any]) -> list[tuple[str, str, str]]:
    names = sorted(one.keys() | other.keys())
    return [(f"{group}.{name}", str(one.get(name, "")), str(other.get(name, ""))) for name in names]


def _measured(name: str, one: Mapping[str, float], other: Mapping[str, float]) -> Difference:
    first, second = _interval(one, name), _interval(other, name)
    intervals: Literal["", "apart", "overlap"] = ""
    if first and second:
        intervals = "apart" if first[1] < second[0] or second[1] < first[0] else "overlap"
    return Difference(name, figure(one, name), figure(other, name), intervals)


def _interval(metrics: Mapping[str, float], name: str) -> Interval | None:
    low, high = (metrics.get(f"{name}.{end}") for end in _BOUNDS)
    return None if low is None or high is None else (low, high)
