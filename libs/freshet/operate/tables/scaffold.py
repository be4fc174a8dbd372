"""Writes a first pipeline.yaml and event.avsc: guessed from a table, or as a template to edit."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from freshet.avro.own_schemas import Schema
from freshet.contracts.errors import ContractError
from freshet.contracts.name_rules import pipeline_name
from freshet.operate.tables.cells import TABLE_FORMAT, TimeFormat, is_missing
from freshet.operate.tables.event_roles import refuse_what_replay_would, why_of, written_so
from freshet.operate.tables.guesses import MOST_CATEGORIES, Column, column, flow, guess_roles, scalar
from freshet.operate.tables.titles import field_names, no_column, title_attribute
from freshet.pipeline import PipelineError, PipelineSpec, check

MOST_COLUMNS: Final = 5_000
"""Of a table: more do not fit into a schema whose fields may all be null, nor into a readable pipeline.yaml."""
MOST_CLASSES: Final = 100
"""A text label with more values than this is taken for a mistake: an id, or a name."""

_IDENTITY: Final = {
    "event_id": ("string", "Unique id of the event; labels refer to it."),
    "entity": ("string", "What the event is about."),
    "event_time": ({"type": "long", "logicalType": "timestamp-millis"}, "When it happened."),
}


class Guess(NamedTuple):
    """What was made of a table: the two files' texts, and in sentences what they rest on."""

    pipeline: str
    event: str
    told: list[str]


def infer_pipeline(
    name: str,
    header: Sequence[str],
    sample_rows: Sequence[Sequence[str]],
    label: str,
    *,
    entity: str | None = None,
    event_id: str | None = None,
    event_time: str | None = None,
    time_format: str | None = None,
    now_ms: int | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> Guess:
    """pipeline.yaml and event.avsc for a table whose column `label` is to be predicted.

    Columns of numbers become numbers, text with few values one-hot categories. Id, entity and time are guessed where
    they are not given (`time_format` says how times are written); where there are none, a field `entity`, `event_id` or
    `event_time` is added, for whoever replays the table to fill in. Times that would be refused at `now_ms` are not
    used as event times. `attributes` are written into event.avsc beside its fields. Raises ContractError for a table
    that no pipeline can be made of, OperateError for a column that is not there and an id that repeats.
    """
    pipeline_name(name)
    if len(header) > MOST_COLUMNS:
        raise ContractError(
            f"the table has {len(header):,} columns, and a pipeline is made of {MOST_COLUMNS:,} at most: leave out "
            "those that say nothing about the label."
        )
    titles = [title.strip() for title in header]
    fields = dict(zip(titles, field_names(titles), strict=True))
    if len(fields) < len(header):
        raise ContractError("two columns of the table have the same title; rename one.")
    given = {"event_id": event_id, "entity": entity, "event_time": event_time}
    for title in (label, *filter(None, given.values())):
        if title not in fields:
            raise no_column("the table", title, titles)
    rows, unreadable = _readable(titles, sample_rows)
    said = None if time_format is None else TimeFormat.named(time_format)
    cells = _columns(titles, rows)
    columns = {title: column(title, fields[title], *cells[title], said) for title in titles}
    if said:
        given["event_time"] = written_so(columns, event_time, said, now_ms)
    target, predicts = _target(columns[label])
    roles = guess_roles([columns[title] for title in titles if title != label], given, now_ms)
    refuse_what_replay_would(columns, roles, now_ms)
    chosen = {role: columns[title] if title else None for role, title in roles.titles.items()}
    rest = [found for title, found in columns.items() if title != label and title not in roles.titles.values()]
    features = [(found, found.feature(roles)) for found in rest]
    if all(line.lstrip().startswith("#") for _, line in features):
        raise ContractError(_no_feature(label, chosen, [line for _, line in features]))
    identity = {role: found.field if found else role for role, found in chosen.items()}
    why = {role: f"# {why_of(role, found, given[role], rest)}" for role, found in chosen.items()}
    text = _PIPELINE.format(
        name=name,
        **{role: scalar(field) for role, field in identity.items()},
        **{f"{role}_why": said for role, said in why.items()},
        age="\nmax_event_age: 3650d  # the table's own times may lie years back" if chosen["event_time"] else "",
        features="\n".join(line for _, line in features),
        target=f"{target}  # guessed from column {label}: {predicts}",
    )
    declared = [_declared(role, identity[role], found) for role, found in chosen.items()]
    told = [f"{role.replace('event_', '')}: {identity[role]} {said.removeprefix('# ')}" for role, said in why.items()]
    told.append(f"label: {label} ({predicts})")
    told += [line.strip().removeprefix("# ") for _, line in features if line.lstrip().startswith("#")]
    told += [f"{found.field}: {found.warning}" for found, line in features if found.warning and "- {" in line]
    told += [f"{unreadable:,} rows have another number of cells than the header: they are left out."] * bool(unreadable)
    schema = _schema(name, [*declared, *(found.avro for found in rest)], attributes or {})
    return Guess(*_checked(text, schema), told)


def template(name: str) -> tuple[str, str]:
    """pipeline.yaml and event.avsc of a small example, commented, for a newcomer to edit.

    Raises ContractError for what cannot name a pipeline.
    """
    pipeline_name(name)
    declared = [{"name": field, "type": kind, "doc": doc} for field, (kind, doc) in _IDENTITY.items()]
    declared += [
        {"name": "amount", "type": "double", "doc": "An example of a number."},
        {"name": "country", "type": "string", "doc": "An example of a category."},
    ]
    return _checked(_TEMPLATE.format(name=name), _schema(name, declared, {}))


def _no_feature(label: str, chosen: Mapping[str, Column | None], lines: Sequence[str]) -> str:
    """That nothing is left to learn from, and of every column why."""
    roles = {"event_id": "the event's id", "entity": "what an event is about", "event_time": "the event's time"}
    taken = [f"{found.field} is left out: it is {roles[role]}" for role, found in chosen.items() if found]
    reasons = [f"{label} is left out: it is the label", *taken, *(line.strip().removeprefix("# ") for line in lines)]
    return (
        "no column gives a feature: the pipeline needs numbers, or text with few values.\n  "
        + "\n  ".join(reasons)
        + "\nA column that was mistaken for one of these can be given another role with --entity, --event-id or "
        "--event-time."
    )


def _readable(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[list[Sequence[str]], int]:
    """The rows that have a cell for each title, and how many have not."""
    if not rows:
        raise ContractError("the table has no rows to learn the columns from.")
    good = [row for row in rows if len(row) == len(titles)]
    if not good:
        raise ContractError(
            f"row 1 has {len(rows[0])} cells, but the first line names {len(titles)}. Is --delimiter right?"
        )
    return good, len(rows) - len(good)


def _columns(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[str, tuple[list[str], list[str]]]:
    """Cells by title: of all rows, and of those that repeat no other, or the id would not be unique."""
    stripped = [tuple(cell.strip() for cell in row) for row in rows]
    distinct = list(dict.fromkeys(stripped))
    written = {title: [row[at] for row in stripped] for at, title in enumerate(titles)}
    if not len(rows) * 0.9 <= len(distinct) < len(rows):
        return {title: (cells, cells) for title, cells in written.items()}
    return {title: (written[title], [row[at] for row in distinct]) for at, title in enumerate(titles)}


def _declared(role: str, name: str, found: Column | None) -> dict[str, Any]:
    kind, doc = _IDENTITY[role]
    doc = doc if found is None else f"{doc} Column {found.title!r} of the table."
    declared = {"name": name, "type": kind, "doc": doc, **(title_attribute(found.title, name) if found else {})}
    return declared | ({TABLE_FORMAT: found.time.name} if role == "event_time" and found and found.time else {})


def _target(label: Column) -> tuple[str, str]:
    """The line of the target, and in words what is predicted."""
    numeric = label.kind in ("integer", "float")
    classes = sorted({cell for cell in label.cells if not _no_label(cell)})
    unknown = [cell for cell in label.written if _no_label(cell)]
    texts = ", ".join(sorted(set(filter(None, unknown))))
    blank = (f", {len(unknown):,} blank" + (f" or {texts}" if texts else "")) if unknown else ""
    if len({text.casefold() for text in classes}) < len(classes):
        blank += ", of which some differ in upper and lower case only: is that meant?"
    if len(classes) < 2:
        count = f"{len(classes)} value" + "s" * (len(classes) != 1)
        raise ContractError(f"column {label.title!r} has {count} in the table: nothing to predict.")
    broken = numeric and any(not float(cell).is_integer() for cell in classes)
    if numeric and (len(classes) > MOST_CATEGORIES or broken):
        return "kind: value", f"a number, so a regression{blank}"
    if len(classes) > MOST_CLASSES and label.odd:
        raise ContractError(
            f"column {label.title!r} has {len(classes):,} different texts, too many classes: {label.odd}."
        )
    if len(classes) > MOST_CLASSES:
        raise ContractError(
            f"column {label.title!r} has {len(classes):,} different texts: that is an id or a name, no label. Choose "
            "another, or group its values."
        )
    return f"classes: {flow(classes)}", f"{len(classes)} classes{blank}"


def _no_label(cell: str) -> bool:
    """Whether a label is not known: `none` may be a class, such as that of parts without a defect."""
    return is_missing(cell, "float") and cell.lower() != "none"


def _schema(name: str, fields: Sequence[dict[str, Any]], attributes: Mapping[str, Any]) -> Schema:
    record = "".join(word.capitalize() for word in name.split("-")) + "Event"
    return {"type": "record", "name": record, "namespace": "events", **attributes, "fields": list(fields)}


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
entity: {entity}  {entity_why}
event_id: {event_id}  {event_id_why}
event_time: {event_time}  {event_time_why}{age}

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
