"""The sample that a model is packed with: rows as it will see them, their labels, and its trainer's scores for them."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from freshet.avro.event_fields import event_fields
from freshet.avro.own_schemas import Schema
from freshet.contracts.arrays import Floats32
from freshet.operate.operate_error import OperateError
from freshet.operate.progress import Say, silent
from freshet.operate.tables.cells import is_missing
from freshet.operate.tables.features import feature_rows
from freshet.operate.tables.table import Dialect, Table
from freshet.operate.tables.table_events import CsvEvents
from freshet.operate.tables.titles import field_names, no_column
from freshet.pipeline import PipelineSpec

SAMPLE_ROWS: Final = 10_000


class Sample(NamedTuple):
    """Rows, float32 (n, inputs), and the class of each, "" where not known; None if there is no column of labels."""

    rows: Floats32
    truths: list[str] | None
    label: str
    """Title of that column, "" if there is none."""


def read_sample(
    path: Path,
    spec: PipelineSpec,
    schema: Schema,
    inputs: Sequence[str],
    *,
    label_column: str | None,
    dialect: Dialect | None = None,
    say: Say = silent,
) -> Sample:
    """Up to 10,000 rows of a table of features, or of events, of which the features are computed.

    Labels are in `label_column`; by default in the one other column that holds nothing but classes. What is left out of
    the events is told to `say`. Raises OperateError or ContractError on a table that cannot be read so.
    """
    usual = Dialect.of(schema)
    table = Table(path, dialect, usual)
    of_features = set(inputs) <= set(table.titles)
    if of_features and table.delimiter != usual.delimiter:
        table = Table(path, dialect)  # as `features` writes it, and not as the pipeline's tables of events
    table.numbers = inputs if of_features else ()
    header, cells = table.titles, _some(table, SAMPLE_ROWS)
    label = _label_column(path, header, cells, spec, schema, told=label_column)
    if of_features:
        for line in table.told:
            say(line)
        at = [header.index(name) for name in inputs]
        truths = [_truth(row[header.index(label)], spec) for row in cells] if label else None
        return Sample(_numbers(path, cells, at), truths, label)
    features: list[Floats32] = []
    labels: list[str] = []
    source = CsvEvents(path, spec, schema, label=label or None, dialect=dialect)
    for line in (*source.table.told, *source.absent, *source.survey.told):
        say(line)
    for events in source:
        rows, truths = feature_rows(spec, schema, events)
        features.append(rows)
        labels += truths
        if sum(map(len, features)) >= SAMPLE_ROWS:
            break
    matrix = np.concatenate(features) if features else np.empty((0, len(spec.feature_names)), np.float32)
    chosen: Floats32 = matrix[:, [spec.feature_names.index(name) for name in inputs]]
    return Sample(chosen, labels if label else None, label)


def read_expected(path: Path, spec: PipelineSpec, count: int) -> Floats32:
    """The trainer's scores of the sample's rows, float32 (count, classes or 1): a column per class, titled with it."""
    table = Table(path)
    header, cells = table.titles, _some(table, count + 1 if count < SAMPLE_ROWS else count)
    wanted = spec.target.classes
    if wanted and sorted(header) != sorted(wanted):
        raise OperateError(
            f"{path} has the columns {', '.join(header)}: it must have one for each class, titled with the class: "
            f"{', '.join(wanted)}.",
            "usage",
        )
    if not wanted and len(header) != 1:
        raise OperateError(f"{path} has {len(header)} columns, but the pipeline predicts one value.", "usage")
    if len(cells) != count:
        raise OperateError(
            f"{path} has {'more' if len(cells) > count else len(cells)} rows, the sample {count:,}: it must hold the "
            "scores of exactly these rows, in their order.",
            "usage",
        )
    return _numbers(path, cells, [header.index(name) for name in wanted] if wanted else [0])


def _some(table: Table, count: int) -> list[Sequence[str]]:
    return [line.cells for line in itertools.islice(table, count)]


def _numbers(path: Path, cells: Sequence[Sequence[str]], at: Sequence[int]) -> Floats32:
    try:
        return np.array(
            [[float("nan" if is_missing(row[index], "float") else row[index]) for index in at] for row in cells],
            np.float32,
        ).reshape(-1, len(at))
    except (ValueError, IndexError) as error:
        raise OperateError(f"{path}: a cell is not a number: {error}.", "usage") from error


def _label_column(
    path: Path,
    header: Sequence[str],
    cells: Sequence[Sequence[str]],
    spec: PipelineSpec,
    schema: Schema,
    *,
    told: str | None,
) -> str:
    if told is not None:
        if told not in header:
            raise no_column(str(path), told, header)
        return told
    if not spec.target.classes:
        return ""
    taken = {*spec.feature_names, *event_fields(schema)}
    free = [at for at, name in enumerate(field_names(header)) if header[at] not in taken and name not in taken]
    found = [header[at] for at in free if _holds_classes({row[at] for row in cells if at < len(row)}, spec)]
    return found[0] if len(found) == 1 else ""


def _holds_classes(cells: set[str], spec: PipelineSpec) -> bool:
    texts = {text for text in cells if not is_missing(text, "float") or text in spec.target.classes}
    return len(texts) > 1 and texts <= set(spec.target.classes)


def _truth(cell: str, spec: PipelineSpec) -> str:
    return cell if cell in spec.target.classes else ""
