"""Reads predictions, dead letters and labels off the topics, and says how right each model version was."""

import re
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from freshet.avro import Columns, Ragged, Strings
from freshet.avro.framed import FramedReader
from freshet.contracts.arrays import Floats, Ints
from freshet.contracts.batch import Batch
from freshet.operate.redrive import Wanted, dead_records
from freshet.operate.score.arithmetic import Errors, LabelTable, Scoring, VersionScore
from freshet.operate.verify.places import hashed, hashes
from freshet.pipeline import PipelineSpec
from freshet.runtime import dead_letter_records
from freshet.runtime.bus.protocol import Bus, Place
from freshet.runtime.reading import everything

_MAX_BYTES: Final = 4 << 20


def scored(bus: Bus, spec: PipelineSpec, since_ms: int | None = None) -> Scoring:
    """Compare all predictions that are there now, or those written since then, with all labels; count what was refused.

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
    for letter in dead_records(bus, Wanted(), _starts(bus, dead_letter_records.ROLE, since_ms)):
        if letter.model_version:
            scoring.refuse(letter.model_version)
    return scoring


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
                "refused": score.refused,
                "without_label": score.answered - score.own.rows,
                "score": worth(score.own),
                "always_the_constant": worth(score.constant),
                "newest_label": worth(score.newest),
            }
            for version, score in in_order(found)
        ],
    }


def in_order(found: Scoring) -> list[tuple[str, VersionScore]]:
    """By version number; what is no such number of ours comes first."""
    return sorted(found.versions.items(), key=lambda one: [int(part) for part in re.findall(r"\d+", one[0])])


def _class_worth(errors: Errors) -> dict[str, Any]:
    wrong = errors.mean_absolute
    return {"rows": errors.rows, "right": None if wrong is None else 1 - wrong}


def _value_worth(errors: Errors) -> dict[str, Any]:
    return {"rows": errors.rows, "mae": errors.mean_absolute, "rmse": errors.root_mean_square}


def _records(bus: Bus, role: str, record: str, since_ms: int | None = None) -> Iterator[tuple[Batch, Ints, Columns]]:
    """Batches of an output topic, the rows of each that can be read, and what these say."""
    reader = FramedReader.of(record, max_bytes=_MAX_BYTES)
    for batch in everything(bus, role, _starts(bus, role, since_ms)):
        rows = reader.read(batch.values)
        if rows.at.size:
            yield batch, rows.at, rows.columns


def _starts(bus: Bus, role: str, since_ms: int | None) -> dict[Place, int] | None:
    """Where the records since that time begin; None for all of them."""
    if since_ms is None:
        return None
    return {Place(role, partition): offset for partition, offset in bus.offsets_at(role, since_ms).items()}


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
