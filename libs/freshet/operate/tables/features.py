"""Features of events as models will see them: to train on, and to pack with."""

import csv
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np

from freshet.avro.own_schemas import Schema
from freshet.contracts.arrays import Floats32
from freshet.operate.operate_error import OperateError
from freshet.operate.tables.events import Events
from freshet.pipeline import PipelineSpec
from freshet.pipeline.feature_row import FeatureRow

_MOST_TITLES: Final = 1 << 20
"""Characters of a first line that are looked at."""


def feature_rows(spec: PipelineSpec, schema: Schema, events: Events) -> tuple[Floats32, list[str]]:
    """Features (float32, rows × features) and labels (none if there are none) of the events that ingestion would keep.

    NaN stands for "no value". Where the event time is still to come, features of it are those of 1970.
    """
    columns = {spec.event_time: np.zeros(len(events), np.int64), **events.columns}
    values, refused = FeatureRow(spec, schema).compute(columns)
    kept = np.setdiff1d(np.arange(len(values)), [refusal.row for refusal in refused])
    return values[kept], [] if events.labels is None else [events.labels[row] for row in kept.tolist()]


def refuse_other(path: Path, spec: PipelineSpec) -> None:
    """Raise OperateError if the file is there, and is no features file of this pipeline."""
    if path.is_dir():
        raise OperateError(f"{path} is a folder: name a file to write to.", "usage")
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        try:
            titles = next(csv.reader([file.readline(_MOST_TITLES)]), [])
        except csv.Error:  # bytes of another kind, in a cell longer than any title
            titles = []
    if tuple(titles[: len(spec.feature_names)]) != spec.feature_names:
        raise OperateError(
            f"{path} exists already, and holds something else than features of {spec.pipeline!r}. Name another file, "
            "or write over it with --force.",
            "conflict",
        )


def write_features(
    path: Path, spec: PipelineSpec, schema: Schema, source: Iterable[Events], label: str | None
) -> tuple[int, int]:
    """Write a CSV with a column for each feature, and the label last; numbers of rows written and left out.

    A feature without a value is an empty cell, and so is a label that is not known. Numbers have all their digits, so
    that whoever trains on float64 trains on what is served. The file appears when it is whole.
    """
    written = left_out = 0
    unfinished = path.with_name(f".{path.name}.part")
    with unfinished.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow([*spec.feature_names, *([] if label is None else [label])])
        for events in source:
            values, labels = feature_rows(spec, schema, events)
            truths = [[text] for text in labels] or [[]] * len(values)
            for row, truth in zip(values.tolist(), truths, strict=True):  # all digits: float64 reads what is served
                out.writerow([*("" if math.isnan(value) else repr(value) for value in row), *truth])
            written, left_out = written + len(values), left_out + len(events) - len(values)
    unfinished.replace(path)
    return written, left_out
