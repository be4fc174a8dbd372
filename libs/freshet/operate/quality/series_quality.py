"""Reads the evaluations of a pipeline, and adds them up by series."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from operator import add
from typing import Any, Final, Literal

from freshet.contracts.errors import ContractError
from freshet.contracts.evaluation_message import Evaluation
from freshet.contracts.logic import Fact
from freshet.ledger.ledger import PipelineLedger
from freshet.ledger.versions import admission_order
from freshet.quality.counts import Counts
from freshet.quality.metrics import Metrics, metrics

SERVED: Final = "served"
VERSION: Final = "version:"
View = Literal["arrival", "closed"]


class Evaluations:
    """The evaluations of one pipeline, taken in as they come; in memory, some two kilobytes each."""

    def __init__(self, pipeline: str) -> None:
        self._pipeline = pipeline
        self.records: list[Evaluation] = []
        self._ends: dict[str, int] = {}

    def take(self, facts: Iterable[Fact]) -> None:
        """More records of `freshet.evaluations`.

        Where the rows of a series begin anew, the pipeline was deleted and came again: all before is another one's.
        """
        for fact in facts:
            found = fact.message
            if not isinstance(found, Evaluation) or found.pipeline != self._pipeline or not adds_up(found):
                continue
            if found.view == "arrival":
                if found.first_row < self._ends.get(found.series, 0):
                    self.records.clear()
                    self._ends.clear()
                self._ends[found.series] = found.end_row
            self.records.append(found)


def adds_up(record: Evaluation) -> bool:
    """Whether it holds as many counts as it has classes; else a stranger wrote it, or it was damaged."""
    try:
        Counts.of(record)
    except ContractError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Cut:
    """From when on another epoch answered."""

    at_ms: int
    epoch: int
    versions: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class SeriesQuality:
    """One series: all its rows together, and one after the other."""

    name: str
    counts: Counts
    metrics: Metrics
    labelled: float
    """Share of the predictions that have a label, in the ranges that are done; NaN where that is not known."""
    promised: Mapping[str, float]
    """What the manifest of a version says."""
    points: Sequence[Counts]
    """Over time, one for each record."""


@dataclass(frozen=True, slots=True, eq=False)
class Quality:
    """What there is to say of a pipeline."""

    pipeline: str
    view: View
    classes: tuple[str, ...]
    series: tuple[SeriesQuality, ...]
    """Served first, then versions, slices and baselines."""
    cuts: tuple[Cut, ...]
    """In the time of what is shown, ascending."""


def quality(
    records: Sequence[Evaluation],
    ledger: PipelineLedger,
    *,
    view: View = "arrival",
    names: Sequence[str] = (),
    since_ms: int | None = None,
) -> Quality:
    """Of the series of these names, or of all, the ranges that end after that moment."""
    found: dict[str, list[Counts]] = {}
    ranges: list[Counts] = []
    classes: tuple[str, ...] = ()
    for record in records:
        if since_ms is not None and record.end_ms <= since_ms:
            continue
        if record.view == "closed" and record.series == SERVED:
            ranges.append(Counts.of(record))
        if record.view == view and (not names or record.series in names):
            found.setdefault(record.series, []).append(Counts.of(record))
            classes = record.classes
    predictions = sum(one.predictions for one in ranges)
    labelled = sum(one.rows for one in ranges) / predictions if predictions else math.nan
    series = []
    for name in sorted(found, key=_order):
        total = reduce(add, found[name])
        version = ledger.versions.records.get(name.removeprefix(VERSION)) if name.startswith(VERSION) else None
        promised = {} if version is None else dict(version.manifest.metrics)
        share = labelled if name == SERVED else math.nan
        series.append(SeriesQuality(name, total, metrics(total), share, promised, found[name]))
    begin = min((one.counts.start_ms for one in series), default=0)
    end = max((one.counts.end_ms for one in series), default=0)
    cuts = tuple(cut for cut in _cuts(ledger) if begin < cut.at_ms <= end)
    return Quality(ledger.name, view, classes, tuple(series), cuts)


def _order(series: str) -> tuple[Any, ...]:
    if series.startswith(VERSION):
        return 1, admission_order(series.removeprefix(VERSION))
    return 0 if series == SERVED else 3 if series.startswith("baseline:") else 2, series


def _cuts(ledger: PipelineLedger) -> list[Cut]:
    """When the first partition was cut over to each epoch."""
    first: dict[int, int] = {}
    for cut, at_ms in zip(ledger.cutovers.told, ledger.cutovers.told_ms, strict=True):
        if cut.lane == "serve" and not cut.fallback:
            first[cut.epoch] = min(at_ms, first.get(cut.epoch, at_ms))
    tables = {
        tenure.rollout.epoch: tuple(share.version for share in tenure.rollout.table)
        for tenure in ledger.epochs.history()
    }
    return sorted(
        (Cut(at_ms, epoch, tables.get(epoch, ())) for epoch, at_ms in first.items()), key=lambda cut: cut.at_ms
    )


def document(found: Quality) -> dict[str, Any]:
    """For `--json`; what is not defined is null."""
    return {
        "pipeline": found.pipeline,
        "view": found.view,
        "classes": list(found.classes),
        "series": [
            {
                "series": one.name,
                "first_row": one.counts.first_row,
                "end_row": one.counts.end_row,
                "start_ms": one.counts.start_ms,
                "end_ms": one.counts.end_ms,
                "labelled": _defined(one.labelled),
                **_numbers(one.metrics),
                "confusion": one.counts.confusion.tolist(),
                "versions": dict(one.counts.versions),
                "epochs": list(one.counts.epochs),
                "promised": dict(one.promised),
                "points": [_point(counts) for counts in one.points],
            }
            for one in found.series
        ],
        "cuts": [asdict(cut) for cut in found.cuts],
    }


def _point(counts: Counts) -> dict[str, Any]:
    found = metrics(counts)
    place = {"end_row": counts.end_row, "start_ms": counts.start_ms, "end_ms": counts.end_ms, "rows": counts.rows}
    return place | ({"accuracy": _defined(found.accuracy)} if counts.confusion.size else {"mae": _defined(found.mae)})


def _numbers(found: Metrics) -> dict[str, Any]:
    return {name: _defined(value) for name, value in asdict(found).items()}


def _defined(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_defined(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
