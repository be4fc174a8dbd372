"""Checks a pipeline against its event schema, and a new version of it against the old one."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path as FilePath

from freshet.avro import lint
from freshet.avro.event_fields import EventField, FieldKind, event_fields
from freshet.avro.own_schemas import Schema
from freshet.features.transform import Transform
from freshet.pipeline.catalogue import kinds_of
from freshet.pipeline.class_count import class_problem
from freshet.pipeline.near_folders import did_you_mean
from freshet.pipeline.problem import PipelineError, Problem, unknown
from freshet.pipeline.spec import PipelineSpec, Rule, Target
from freshet.pipeline.text import Path

EVENT_FILE = "event.avsc"

_WORDS: Mapping[FieldKind, str] = {
    "integer": "a whole number",
    "float": "a number",
    "boolean": "true or false",
    "text": "text",
    "enum": "an enum",
    "time": "a timestamp",
    "other": "a type that features cannot be made of",
}
_ORDERED = frozenset[FieldKind]({"integer", "float"})
_LISTABLE = frozenset[FieldKind]({"integer", "text", "enum"})


def load_folder(folder: FilePath) -> tuple[PipelineSpec, str, Schema]:
    """The specification in a folder, its text, and the event schema beside it.

    Raises PipelineError where a file is missing or cannot be read; `check` says whether the two fit together.
    """
    texts = []
    for name in ("pipeline.yaml", EVENT_FILE):
        try:
            texts.append((folder / name).read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError) as error:
            near = "" if (folder / "pipeline.yaml").is_file() else did_you_mean(folder)
            missing = f"is not there.{near} `freshet pipeline new` writes a folder with pipeline.yaml and event.avsc."
            raise PipelineError([Problem(0, missing, str(folder / name))]) from error
        except (OSError, UnicodeDecodeError) as error:
            raise PipelineError([Problem(0, f"cannot be read: {error}.", str(folder / name))]) from error
    try:
        schema = json.loads(texts[1])
    except (ValueError, RecursionError) as error:
        unread = [Problem(getattr(error, "lineno", 0), f"this is not JSON: {error}.", EVENT_FILE)]
        raise PipelineError([*_problems_alone(texts[0]), *unread]) from error
    try:
        return PipelineSpec.parse(texts[0]), texts[0], schema
    except PipelineError as error:
        sound = PipelineSpec.sound_parts(texts[0])
        raise PipelineError({*error.problems, *(check(sound, schema) if sound else ())}) from error


def _problems_alone(text: str) -> list[Problem]:
    try:
        PipelineSpec.parse(text)
    except PipelineError as error:
        return error.problems
    return []


def load_checked(folder: FilePath) -> tuple[PipelineSpec, str, Schema]:
    """As `load_folder`, but it raises PipelineError with all problems that `check` finds, too."""
    spec, text, schema = load_folder(folder)
    problems = check(spec, schema)
    if problems:
        raise PipelineError(problems)
    return spec, text, schema


def check(spec: PipelineSpec, event_schema: Schema) -> list[Problem]:
    """All that keeps this pipeline from running on these events, in the order of the file; empty if it can run."""
    problems = [spec.problem(path, message) for path, message in (*_unknown_parts(spec), *_classes(spec))]
    faults = lint(event_schema)
    if faults:
        return sorted([*problems, *(Problem(0, fault, EVENT_FILE) for fault in faults)])
    fields = event_fields(event_schema)
    for path, message in (*_identity(spec, fields), *_rules(spec.rules, fields), *_columns(spec, fields)):
        problems.append(spec.problem(path, message))
    return sorted(problems)


def compare(old: PipelineSpec, new: PipelineSpec) -> list[str]:
    """Why `new` must not replace `old` while models and consumers of `old` live; empty if it may.

    Event schemas are not compared here.
    """
    reasons = []
    if new.pipeline != old.pipeline:
        reasons.append(f"it is named {new.pipeline!r}, not {old.pipeline!r}: publish it as a pipeline of its own.")
    if new.partitions != old.partitions:
        reasons.append(
            f"partitions may not change from {old.partitions} to {new.partitions}: entities would move to other "
            "partitions and lose their order. Start a new pipeline instead."
        )
    if new.target != old.target:
        reasons.append(
            "target may not change: models and labels of the old one mean something else. Start a new pipeline."
        )
    return reasons + _growth(old, new)


def _growth(old: PipelineSpec, new: PipelineSpec) -> list[str]:
    """Why the features of `new` are not those of `old` with columns appended; empty if they are."""
    before, after = old.features, new.features
    kept = after.columns[: len(before.columns)]
    for index, column in enumerate(before.columns):
        if index >= len(kept) or kept[index] != column:
            names = ", ".join(column.names())
            return [
                f"features.columns[{index}] ({names}) was changed, moved or removed, but live models read it. "
                "Restore it, and append the changed feature under a new name."
            ]
    appended = after.columns[len(kept) :]
    if not appended and after.version == before.version:
        return []
    if not appended or after.version <= before.version:
        return [
            f"features.version goes from {before.version} to {after.version}, with {len(appended)} columns appended: "
            "it must go up exactly when columns are appended."
        ]
    return [
        f"appended column {', '.join(column.names())} needs `since: {after.version}`, the version that brings it."
        for column in appended
        if column.since != after.version
    ]


def _unknown_parts(spec: PipelineSpec) -> Iterator[tuple[Path, str]]:
    named: tuple[tuple[str, str, Path, str], ...] = (
        ("decoder", "decoders", ("decoder",), spec.decoder),
        ("policy", "policies", ("rollout", "policy"), spec.rollout.policy),
    )
    for part, group, path, kind in named:
        known = kinds_of(group)
        if kind not in known:
            yield path, unknown(part, kind, known)


def _classes(spec: PipelineSpec) -> Iterator[tuple[Path, str]]:
    target: Target | None = spec.target  # one of the sound parts of a file that lacks it has none
    if target is not None and (why := class_problem(target.classes)):
        yield ("target", "classes"), why


def _identity(spec: PipelineSpec, fields: Mapping[str, EventField]) -> Iterator[tuple[Path, str]]:
    wanted: tuple[tuple[str, frozenset[FieldKind]], ...] = (
        ("entity", frozenset({"text", "integer"})),
        ("event_id", frozenset({"text", "integer"})),
        ("event_time", frozenset({"time", "integer"})),
    )
    for role, kinds in wanted:
        name = getattr(spec, role)
        if name is None:  # one of the sound parts of a file that lacks it
            continue
        yield from _wrong_kind((role,), name, kinds, f"{role} must be", fields)
        if role != "entity" and name in fields and fields[name].nullable:
            yield (role,), f"field {name!r} may be null in event.avsc, but every event needs its {role}."


def _rules(rules: Sequence[Rule | None], fields: Mapping[str, EventField]) -> Iterator[tuple[Path, str]]:
    for index, rule in enumerate(rules):
        path: Path = ("rules", index)
        if rule is None:
            continue
        if rule.field not in fields:
            yield (*path, "field"), unknown("event field", rule.field, list(fields))
            continue
        for key in ("min", "max"):
            if getattr(rule, key) is not None:
                yield from _wrong_kind((*path, key), rule.field, _ORDERED, f"{key} compares", fields)
        if rule.one_of:
            wrong = list(_wrong_kind((*path, "one_of"), rule.field, _LISTABLE, "one_of lists", fields))
            yield from wrong
            fault = None if wrong else fields[rule.field].choices_fault(rule.one_of)
            if fault:
                yield (*path, "one_of"), fault


def _columns(spec: PipelineSpec, fields: Mapping[str, EventField]) -> Iterator[tuple[Path, str]]:
    columns: Sequence[Transform | None] = spec.features.columns
    for index, column in enumerate(columns):
        if column is None:
            continue
        fitting = True
        for name in column.inputs():
            path: Path = ("features", "columns", index, _parameter(column, name))
            for found in _wrong_kind(path, name, column.accepts, f"{column.kind} reads", fields):
                fitting = False
                yield found
        fault = column.disagreement(fields) if fitting else None
        if fault:
            yield ("features", "columns", index), fault


def _wrong_kind(
    path: Path, name: str, kinds: frozenset[FieldKind], demand: str, fields: Mapping[str, EventField]
) -> Iterator[tuple[Path, str]]:
    if name not in fields:
        yield path, unknown("event field", name, list(fields))
    elif fields[name].kind not in kinds:
        wanted = " or ".join(sorted(_WORDS[kind] for kind in kinds))
        yield path, f"field {name!r} is {_WORDS[fields[name].kind]} in event.avsc; {demand} {wanted}."


def _parameter(column: Transform, name: str) -> str:
    """The key that names this event field."""
    return next((key for key in type(column).model_fields if getattr(column, key) == name), "")
