"""The pipeline's folder that `freshet stream` makes of a table, and uses again as it was edited."""

import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from freshet.avro.event_fields import event_fields
from freshet.avro.own_schemas import Schema
from freshet.lab.demo.narrator import Narrator
from freshet.operate.operate_error import OperateError
from freshet.operate.tables.new_pipeline import Roles, files_of, guess_from, write
from freshet.operate.tables.table import Dialect, Table
from freshet.operate.tables.titles import field_names
from freshet.pipeline import PipelineSpec, load_checked

_HOME: Final = Path(".local/pipelines")
_MADE_FROM: Final = "made_from.json"


_REPEATABLE: Final = """
partitions: 1  # so that the labelled log has the order of the table, and each run gives the same models

limits:
  batch_p99_ms: 60000  # so that no model is refused for a busy machine
"""
_RETRAINING: Final = """
retraining:
  triggers:
    - {{kind: rows, every: {every}}}
  min_rows: 100
  most_per_day: 100000  # a stream may tell of years in minutes
  gate:
    - {{metric: {metric}, not_worse_by: 0}}
"""


def folder_for(
    file: Path,
    label: str,
    roles: Roles,
    name: str,
    narrator: Narrator,
    *,
    dialect: Dialect | None = None,
    retrain: int | None = None,
) -> Path:
    """The folder of the pipeline `name`: the one that is kept, or a new one.

    With `retrain` a new one says that a model is trained every so many labels (0: never), and has one partition.

    Raises OperateError where the kept one was made for another label or of other columns: what is the label now would
    be a feature there, and each answer right.
    """
    folder = _HOME / name
    if files_of(folder)[0].exists():
        _, _, schema = load_checked(folder)
        refuse_other(folder, schema, label, Table(file, dialect, Dialect.of(schema)).titles)
        narrator.line(f"using {folder} as it is")
        return folder
    table = Table(file, dialect)
    for line in table.told:
        narrator.line(line)
    guess = guess_from(table, name, label, roles, now_ms=int(time.time() * 1000))
    write(folder, guess if retrain is None else guess._replace(pipeline=with_retraining(guess.pipeline, retrain)))
    (folder / _MADE_FROM).write_text(json.dumps({"label": label, "columns": table.titles}), encoding="utf-8")
    for line in guess.told:
        narrator.line(line)
    narrator.line(f"wrote {folder}/pipeline.yaml and event.avsc from the table: edit them, and run again")
    return folder


def with_retraining(text: str, every: int) -> str:
    """A guessed pipeline.yaml, with a training every so many labels (0: never), gated by the version that answers."""
    metric = "accuracy" if PipelineSpec.parse(text).target.classes else "mae"
    gated = re.sub("policy: immediate.*", "policy: gated  # a model that passes its gate answers at once", text)
    return gated + _REPEATABLE + (_RETRAINING.format(every=every, metric=metric) if every else "")


def refuse_other(folder: Path, schema: Schema, label: str, titles: Sequence[str]) -> None:
    """Raise OperateError if the folder was made for another label than this, or of other columns than these."""
    record = folder / _MADE_FROM
    made = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    way_out = "remove it, or name another with --name"
    if made.get("label", label) != label:
        raise OperateError(f"{folder} was made for the label {made['label']!r}: {way_out}.", "conflict")
    if not {label, *field_names([label])}.isdisjoint(event_fields(schema)):
        raise OperateError(
            f"{folder} was made for another label: in its event.avsc {label!r} is a field of the event, so models "
            f"would be told the answer: {way_out}.",
            "conflict",
        )
    before = made.get("columns", titles)
    differing = [*(f"without {title!r}" for title in titles if title not in before)]
    differing += [f"with {title!r}" for title in before if title not in titles]
    if differing:
        raise OperateError(f"{folder} was made of a table {', '.join(differing)}: {way_out}.", "conflict")


def name_of(file: Path, retrain: int | None = None) -> str:
    """A pipeline name from a file name; one of its own for each number of labels after which a model is trained."""
    kind = "" if retrain is None else f"-every-{retrain}" if retrain else "-never"
    stem = file.name.removesuffix(".gz").removesuffix(".csv").lower()
    return (re.sub(r"[^a-z0-9]+", "-", stem).strip("-")[: 40 - len(kind)] or "stream") + kind
