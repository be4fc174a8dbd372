"""Writes a first pipeline.yaml and event.avsc: guessed from a table, or as a template to edit."""

import itertools
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from freshet.contracts.errors import ContractError
from freshet.contracts.event_fields import FieldKind
from freshet.contracts.pipeline import PipelineError, PipelineSpec, check
from freshet.contracts.schemas import Schema

_MISSING: Final = frozenset({"", "na", "n/a", "nan", "null", "none"})

MOST_CATEGORIES: Final = 20
"""A text column with more values than this is taken for free text or an id, a number label for a regression's."""

_IDENTITY: Final = {
    "event_id": ("string", "Unique id of the event; labels refer to it."),
    "entity": ("string", "What the event is about."),
    "event_time": ({"type": "long", "logicalType": "timestamp-millis"}, "When it happened."),
}


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the table as a field of the event; `categories` is None for numbers."""

    title: str
    field: str
    nullable: bool
    categories: tuple[str, ...] | None

    @property
    def avro(self) -> dict[str, Any]:
        """Its declaration in event.avsc."""
        kind = "double" if self.categories is None else "string"
        declared: dict[str, Any] = {"name": self.field, "type": ["null", kind] if self.nullable else kind}
        return declared | ({"default": None} if self.nullable else {}) | {"doc": f"Column {self.title!r} of the table."}

    @property
    def feature(self) -> str:
        """Its line under `features.columns`."""
        if self.categories is None:
            return f"    - {{kind: field, of: {self.field}}}"
        if len(self.categories) > MOST_CATEGORIES:
            return f"    # {self.field} is left out: text with more than {MOST_CATEGORIES} values is no category"
        other = "" if "other" in self.categories else ", other: true"
        return f"    - {{kind: one_hot, of: {self.field}, vocabulary: {_flow(self.categories)}{other}}}"


def field_names(header: Sequence[str]) -> list[str]:
    """The event field of each column: its title with everything but letters, digits and _ replaced, made unique."""
    names: list[str] = []
    for title in header:
        plain = re.sub(r"[^A-Za-z0-9_]+", "_", title.strip()).strip("_") or "column"
        plain = plain if not plain[0].isdigit() else f"_{plain}"
        numbered = (f"{plain}_{number}" for number in itertools.count(2))
        names.append(plain if plain not in names else next(name for name in numbered if name not in names))
    return names


def infer_pipeline(
    name: str,
    header: Sequence[str],
    sample_rows: Sequence[Sequence[str]],
    label: str,
    *,
    entity: str | None = None,
    event_id: str | None = None,
    event_time: str | None = None,
) -> tuple[str, str]:
    """pipeline.yaml and event.avsc for a table whose column `label` is to be predicted.

    Columns of numbers become numbers, text with few values one-hot categories. Where no column is named (or titled)
    `entity`, `event_id` or `event_time`, a field of that name is added, for whoever replays the table to fill in.
    Raises ContractError for a table that no pipeline can be made of.
    """
    fields = dict(zip(header, field_names(header), strict=True))
    titles = {field: title for title, field in fields.items()}
    if len(fields) < len(header):
        raise ContractError("two columns of the table have the same title; rename one.")
    given = {"entity": entity, "event_id": event_id, "event_time": event_time}
    roles = {role: title or titles.get(role) for role, title in given.items()}
    for title in (label, *filter(None, roles.values())):
        if title not in fields:
            raise ContractError(f"the table has no column {title!r}; it has {', '.join(header)}.")
    cells = _cells(header, sample_rows)
    identity = {role: fields[title] if title else role for role, title in roles.items()}
    features = [
        _column(title, fields[title], cells[title]) for title in header if title not in (label, *roles.values())
    ]
    if all(column.categories is not None and len(column.categories) > MOST_CATEGORIES for column in features):
        raise ContractError("no column gives a feature: the pipeline needs numbers, or text with few values.")
    text = _PIPELINE.format(
        name=name,
        **identity,
        age="\nmax_event_age: 3650d  # the table's own times may lie years back" if roles["event_time"] else "",
        features="\n".join(column.feature for column in features),
        target=_target(label, cells[label]),
    )
    declared = [{"name": identity[role], "type": kind, "doc": doc} for role, (kind, doc) in _IDENTITY.items()]
    return _checked(text, _schema(name, [*declared, *(column.avro for column in features)]))


def is_missing(cell: str, field_kind: FieldKind) -> bool:
    """Whether a cell says "no value" in a field of this kind. Among text only an empty one does: NA may be a region."""
    cell = cell.strip()
    return not cell if field_kind in ("text", "enum") else cell.lower() in _MISSING


def template(name: str) -> tuple[str, str]:
    """pipeline.yaml and event.avsc of a small example, commented, for a newcomer to edit."""
    declared = [{"name": field, "type": kind, "doc": doc} for field, (kind, doc) in _IDENTITY.items()]
    declared += [
        {"name": "amount", "type": "double", "doc": "An example of a number."},
        {"name": "country", "type": "string", "doc": "An example of a category."},
    ]
    return _checked(_TEMPLATE.format(name=name), _schema(name, declared))


def _cells(header: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    if not rows:
        raise ContractError("the table has no rows to learn the columns from.")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise ContractError(f"row {number} has {len(row)} cells, but the header has {len(header)}.")
    return {title: [row[at].strip() for row in rows] for at, title in enumerate(header)}


def _column(title: str, field: str, cells: Sequence[str]) -> _Column:
    numbers = [cell for cell in cells if not is_missing(cell, "float")]
    if numbers and all(map(_is_number, numbers)):
        return _Column(title, field, len(numbers) < len(cells), None)
    texts = [cell for cell in cells if not is_missing(cell, "text")]
    return _Column(title, field, len(texts) < len(cells), tuple(sorted(set(texts))))


def _target(label: str, cells: Sequence[str]) -> str:
    classes = sorted({cell for cell in cells if not is_missing(cell, "text")})
    if len(classes) > MOST_CATEGORIES and all(map(_is_number, classes)):
        return "kind: value"
    if len(classes) < 2:
        raise ContractError(f"column {label!r} has {len(classes)} different values in the sample: nothing to predict.")
    return f"classes: {_flow(classes)}"


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell)) and "_" not in cell
    except ValueError:
        return False


def _flow(values: Sequence[str]) -> str:
    """A list on one line, quoted where YAML would read something else than text."""
    return yaml.safe_dump(list(values), default_flow_style=True, width=math.inf, allow_unicode=True).strip()


def _schema(name: str, fields: Sequence[dict[str, Any]]) -> Schema:
    record = "".join(word.capitalize() for word in name.split("-")) + "Event"
    return {"type": "record", "name": record, "namespace": "events", "fields": list(fields)}


def _checked(text: str, schema: Schema) -> tuple[str, str]:
    problems = check(PipelineSpec.parse(text), schema)
    if problems:
        raise PipelineError(problems)
    head = {key: value for key, value in schema.items() if key != "fields"}
    fields = ",\n".join("    " + json.dumps(field, ensure_ascii=False) for field in schema["fields"])
    return text, json.dumps(head, indent=2)[:-2] + ',\n  "fields": [\n' + fields + "\n  ]\n}\n"


_PIPELINE: Final = """\
# Guessed from a table. Every line is yours to change; `freshet pipeline check` says what does not fit.
pipeline: {name}
entity: {entity}          # what events are about: its events keep their order
event_id: {event_id}
event_time: {event_time}{age}

features:
  version: 1              # goes up when columns are appended; columns are never changed or removed
  columns:
{features}

target:
  {target}

rollout:
  policy: immediate       # a model that passes admission answers at once; `manual` waits for `freshet model promote`
"""

_TEMPLATE: Final = """\
# What this use case means: the same on a laptop and in production. `freshet pipeline check` says what does not fit.
pipeline: {name}

# Which fields of event.avsc say what an event is about, which one it is, and when it happened.
entity: entity
event_id: event_id
event_time: event_time

# Events that break a rule are set aside as dead letters, with the reason. All bounds are inclusive.
rules:
  - {{field: amount, min: 0, max: 1000000}}

# The row of numbers that models read. Append columns and raise the version; never change or remove one.
features:
  version: 1
  columns:
    - {{kind: field, of: amount}}
    - {{kind: log, of: amount}}
    - {{kind: cyclic_time, of: event_time, period: day}}
    - {{kind: one_hot, of: country, vocabulary: [DE, FR, "NO"], other: true}}  # quotes: YAML reads a bare NO as false

# What is predicted: the class names, in the order of the scores. For a number instead: `kind: value`.
target:
  classes: [legit, fraud]

# How an admitted model becomes the one that answers: `immediate`, or `manual` to wait for `freshet model promote`.
rollout:
  policy: immediate
"""
