"""What MLflow is to hold of a pipeline: a run for each training, and for each version that somebody packed. Pure."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final, Literal, NamedTuple

from freshet.contracts.evaluation_message import Evaluation
from freshet.contracts.messages import ModelVersion
from freshet.operate.notes import tags_of
from freshet.operate.quality.series_quality import VERSION
from freshet.operate.training_runs import TRAINING, Run
from freshet.quality.counts import Counts
from freshet.quality.metrics import metrics

_STATUS: Final[Mapping[str, Literal["RUNNING", "FINISHED", "FAILED"]]] = {
    "started": "RUNNING",
    "finished": "FINISHED",
    "failed": "FAILED",
}
"""A phase of a training as MLflow calls it; an occasion that led to none is no run."""
_OVER_TIME: Final = {True: ("accuracy", "log_loss"), False: ("mae", "rmse")}
"""Metrics that are followed while a version serves: of classes, or of values."""
_NO_NAME: Final = re.compile(r"[^\w\-. /]")
_NO_PART: Final = {"", ".", ".."}
"""What may not stand between slashes: MLflow takes names for paths."""
_LONGEST: Final = 5000
_LONGEST_NAME: Final = 250


class Point(NamedTuple):
    """A metric at a moment; `step` is the row of the labelled log that it goes up to."""

    name: str
    value: float
    at_ms: int
    step: int


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run as it is to be in MLflow."""

    id: str
    """Finds the run again: two exports make one run."""
    name: str
    status: str
    start_ms: int
    end_ms: int | None
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: tuple[Point, ...]

    @property
    def content(self) -> str:
        """A digest of all of it: as long as it is the same, nothing has to be written."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def run_records(
    owner: str, runs: Sequence[Run], versions: Iterable[ModelVersion], evaluations: Iterable[Evaluation]
) -> list[RunRecord]:
    """The runs of a pipeline, in the order in which they began; `owner` is its namespace and name.

    `served.…` metrics say how good a version has been since it answers, a point for each evaluation.
    """
    served: dict[str, list[Point]] = {}
    for record in evaluations:
        if record.view == "arrival" and record.series.startswith(VERSION):
            served.setdefault(record.series.removeprefix(VERSION), []).extend(_points(record))
    trained = [_of_training(owner, run, served.get(run.version, [])) for run in runs if run.last.phase in _STATUS]
    packed = [
        _of_version(owner, version, served.get(version.version, []))
        for version in versions
        if TRAINING not in version.manifest.lineage
    ]
    return sorted([*trained, *packed], key=lambda record: (record.start_ms, record.id))


def _points(record: Evaluation) -> Iterator[Point]:
    found = metrics(Counts.of(record))
    for name in _OVER_TIME[bool(record.classes)]:
        value = getattr(found, name)
        if value == value:  # noqa: PLR0124 (NaN: not defined on these rows)
            yield Point(f"served.{name}", value, record.end_ms, record.end_row)


def _of_training(owner: str, run: Run, served: Sequence[Point]) -> RunRecord:
    record = run.last
    numbers = ("specification", "seed", "from_row", "cut_row", "end_row", "rows", "holdout_rows")
    params = {"trainer": record.trainer, **record.params, **{name: str(getattr(record, name)) for name in numbers}}
    facts = {
        **{name: getattr(record, name) for name in ("trigger", "trigger_id", "reason", "gate", "champion", "by")},
        **{name: getattr(record, name) for name in ("code", "environment", "data_digest", "digest")},
        "training": record.training,
        "clauses": "; ".join(record.clauses),
        "outcome": run.outcome,
        "version": run.version,
    }
    tags = {**_named("freshet", facts), **_named("note", tags_of(run.notes))}
    measured = [Point(_name(name), value, record.at_ms, 0) for name, value in sorted(record.metrics.items())]
    ended_ms = None if record.phase == "started" else record.at_ms
    name = f"{run.version or record.training[:8]} by {record.trigger}"
    return RunRecord(
        f"{owner}/training/{record.training}",
        name,
        _STATUS[record.phase],
        run.began_ms,
        ended_ms,
        _short(params),
        tags,
        (*measured, *served),
    )


def _of_version(owner: str, version: ModelVersion, served: Sequence[Point]) -> RunRecord:
    manifest, began_ms = version.manifest, version.history[0].at_ms if version.history else 0
    params = {"trainer": manifest.trainer, "inputs": ", ".join(manifest.inputs)}
    facts = {"version": version.version, "outcome": version.state, "reason": version.reason, "digest": manifest.digest}
    tags = {**_named("freshet", facts), **_named("lineage", manifest.lineage)}
    promised = [Point(_name(name), value, began_ms, 0) for name, value in sorted(manifest.metrics.items())]
    return RunRecord(
        f"{owner}/model/{manifest.digest}/{version.version}",
        f"{version.version} packed",
        "FINISHED",
        began_ms,
        began_ms,
        _short(params),
        tags,
        (*promised, *served),
    )


def _named(group: str, facts: Mapping[str, str]) -> dict[str, str]:
    return _short({f"{group}.{name}": value for name, value in facts.items() if value})


def _short(texts: Mapping[str, str]) -> dict[str, str]:
    """Names as MLflow takes them, and texts that are not too long for it."""
    return {_name(name): text[:_LONGEST] for name, text in texts.items()}


def _name(name: str) -> str:
    """The name, if MLflow takes it; else one like it with a digest of the name, so that two never become one."""
    cleaned = _NO_NAME.sub("_", name)
    if cleaned == name and len(name) <= _LONGEST_NAME and not _NO_PART & {*name.split("/")}:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"{cleaned.replace('/', '_')[: _LONGEST_NAME - 13]}_{digest}"
