"""`freshet score`: reads predictions and labels off the topics, and prints how right each model version was."""

import re
import time
from collections.abc import Iterator
from typing import Annotated, Any, Final

import numpy as np
import typer
from rich.console import Group, RenderableType

from freshet.avro import Columns, Ragged, Strings
from freshet.avro.framed import FramedReader
from freshet.cli.control import published
from freshet.cli.output import Bootstrap, Exit, Json, Namespace, connect, emit, reporting, table
from freshet.cli.score.core import Errors, LabelTable, Scoring, VersionScore
from freshet.cli.times import range_ms
from freshet.cli.verify.places import hashed, hashes
from freshet.contracts.arrays import Floats, Ints
from freshet.contracts.batch import Batch
from freshet.pipeline import PipelineSpec
from freshet.runtime.bus.protocol import Bus, Place
from freshet.runtime.reading import everything

_MAX_BYTES: Final = 4 << 20


@reporting
def score(
    pipeline: Annotated[str, typer.Option(help="Whose predictions.")],
    since: Annotated[
        str,
        typer.Option(metavar="TIME", help="Score predictions that were written since then: 2026-05-01T12:00Z, or 2h."),
    ] = "",
    last: Annotated[str, typer.Option(metavar="LENGTH", help="The same for a length of time until now: 1h.")] = "",
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Compare predictions with labels, by event id, for each model version.

    Reads what the predictions and labels topics retain; with a range, its predictions and all labels. Beside each
    version stand two answers that need no model: always the commonest class (or the mean), and the newest label that
    was known then. Exits with 4 if no prediction has a label.
    """
    from_ms = range_ms(since, last, time.time_ns() // 1_000_000)
    connection = connect(bootstrap, namespace)
    spec = published(connection.bus(), pipeline).spec
    found = scored(connection.bus(pipeline), spec, from_ms)
    emit(document(found, spec), shown(found, spec), as_json=as_json)
    if not found.compared:
        raise typer.Exit(Exit.CHECK)


def scored(bus: Bus, spec: PipelineSpec, since_ms: int | None = None) -> Scoring:
    """Compare all predictions that are there now, or those written since then, with all labels.

    Memory is some 120 bytes for each label, however many predictions there are.
    """
    known = LabelTable()
    for batch, at, columns in _records(bus, "labels", "Label"):
        values = _truths(_strings(columns, "label"), spec)
        good = np.flatnonzero(np.isfinite(values))
        revisions = np.asarray(columns["revision"]).astype(np.int64)
        known.add(_events(columns)[good], revisions[good], values[good], batch.timestamps_ms[at[good]])
    scoring = Scoring(known.labels(), classes=bool(spec.target.classes))
    for batch, at, columns in _records(bus, "predictions", "Prediction", since_ms):
        versions = _strings(columns, "version")
        _, firsts, codes = np.unique(hashes(versions), return_index=True, return_inverse=True)
        names = versions.take(firsts).tolist()
        scoring.add(names, codes, _events(columns), _answers(columns, spec), batch.timestamps_ms[at])
    return scoring


def shown(found: Scoring, spec: PipelineSpec) -> RenderableType:
    """A row for each version, and a sentence about what has no counterpart."""
    if spec.target.classes:
        commonest = spec.target.classes[int(found.constant)] if found.labels else "commonest class"
        titles = ("right", f"always {commonest}", "newest label")
        cell = _share
    else:
        titles = ("MAE / RMSE", "always the mean", "newest label")
        cell = _gap
    rows = table("version", "answered", "with a label", *titles)
    for version, score in _in_order(found):
        cells = map(cell, (score.own, score.constant, score.newest))
        rows.add_row(version, f"{score.answered:,}", f"{score.own.rows:,}", *cells)
    return Group(rows, "", _sentence(found)) if found.versions else _sentence(found)


def document(found: Scoring, spec: PipelineSpec) -> dict[str, Any]:
    """For `--json`."""
    worth = _class_worth if spec.target.classes else _value_worth
    constant = None if not found.labels else found.constant
    return {
        "pipeline": spec.pipeline,
        "labels": found.labels,
        "labels_without_prediction": found.unanswered,
        "compared": found.compared,
        "constant": spec.target.classes[int(constant)] if spec.target.classes and constant is not None else constant,
        "versions": [
            {
                "version": version,
                "answered": score.answered,
                "without_label": score.answered - score.own.rows,
                "score": worth(score.own),
                "always_the_constant": worth(score.constant),
                "newest_label": worth(score.newest),
            }
            for version, score in _in_order(found)
        ],
    }


def _sentence(found: Scoring) -> str:
    answered = sum(score.answered for score in found.versions.values())
    if not answered:
        return f"Nothing to score: no prediction is there ({found.labels:,} events have a label)."
    if not found.labels:
        return f"Nothing to score: none of {answered:,} predictions has a label. Send labels to the feedback topic."
    return (
        f"{answered - found.compared:,} of {answered:,} predictions have no label yet; {found.unanswered:,} of "
        f"{found.labels:,} labels are about events without a prediction here."
    )


def _in_order(found: Scoring) -> list[tuple[str, VersionScore]]:
    """By version number; what is no such number of ours comes first."""
    return sorted(found.versions.items(), key=lambda one: [int(part) for part in re.findall(r"\d+", one[0])])


def _share(errors: Errors) -> str:
    return "–" if errors.mean_absolute is None else f"{1 - errors.mean_absolute:.1%}"


def _gap(errors: Errors) -> str:
    return "–" if errors.mean_absolute is None else f"{errors.mean_absolute:.4g} / {errors.root_mean_square:.4g}"


def _class_worth(errors: Errors) -> dict[str, Any]:
    wrong = errors.mean_absolute
    return {"rows": errors.rows, "right": None if wrong is None else 1 - wrong}


def _value_worth(errors: Errors) -> dict[str, Any]:
    return {"rows": errors.rows, "mae": errors.mean_absolute, "rmse": errors.root_mean_square}


def _records(bus: Bus, role: str, record: str, since_ms: int | None = None) -> Iterator[tuple[Batch, Ints, Columns]]:
    """Batches of an output topic, the rows of each that can be read, and what these say."""
    reader = FramedReader.of(record, max_bytes=_MAX_BYTES)
    begin = None if since_ms is None else bus.offsets_at(role, since_ms)
    starts = None if begin is None else {Place(role, partition): offset for partition, offset in begin.items()}
    for batch in everything(bus, role, starts):
        rows = reader.read(batch.values)
        if rows.at.size:
            yield batch, rows.at, rows.columns


def _events(columns: Columns) -> Ints:
    return hashes(_strings(columns, "event_id"))


def _strings(columns: Columns, name: str) -> Strings:
    column = columns[name]
    assert isinstance(column, Strings)
    return column


def _truths(texts: Strings, spec: PipelineSpec) -> Floats:
    """Labels as numbers; NaN for text that is none."""
    if spec.target.classes:
        return _places(texts, spec.target.classes)
    return np.array([_number(text) for text in texts.tobytes()], np.float64)


def _answers(columns: Columns, spec: PipelineSpec) -> Floats:
    if spec.target.classes:
        return _places(_strings(columns, "label"), spec.target.classes)
    scores = columns["scores"]
    assert isinstance(scores, Ragged)
    values = np.full(len(scores), np.nan)
    one = np.flatnonzero(scores.lengths == 1)
    values[one] = scores.take(one).matrix(1)[:, 0] if one.size else values[one]
    return values


def _places(texts: Strings, classes: tuple[str, ...]) -> Floats:
    """The place of each text in the list of classes; NaN where it is not in it."""
    found, asked = np.full(len(texts), np.nan), hashes(texts)
    for place, name in enumerate(classes):
        found[asked == hashed(name)] = place
    return found


def _number(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
