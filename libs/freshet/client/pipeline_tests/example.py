"""A first test file for a pipeline: an event that passes, with its features as they are now, and one that does not."""

from pathlib import Path
from typing import Any, Final

import yaml

from freshet.avro.event_fields import EventField, event_fields
from freshet.avro.own_schemas import Schema
from freshet.client.client_errors import RowError
from freshet.client.pipeline_tests.case_files import FOLDER
from freshet.client.pipeline_tests.event_cases import EventTester
from freshet.pipeline import PipelineSpec
from freshet.pipeline.spec import Rule

_HEAD: Final = """\
# What must become of sample events; `freshet test pipeline {folder}` looks, without a broker. docs/testing.md has
# all that can be said here. The values are made up: put events of yours in their place. Features are those of today:
# if they change without a new name, models that were trained on the old ones are wrong.
"""
_VALUES: Final[dict[str, Any]] = {"integer": 1, "float": 1.5, "boolean": True, "text": "a"}


def example_file(folder: Path) -> Path:
    """Where the example is."""
    return folder / FOLDER / "events.yaml"


def write_example(folder: Path, spec: PipelineSpec, text: str, schema: Schema) -> Path | None:
    """Write the file, and return its path; None if it is there already, or no event can be made up."""
    path = example_file(folder)
    cases = _cases(EventTester(spec, text, schema), spec, event_fields(schema))
    if path.exists() or not cases:
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    told = yaml.safe_dump({"events": cases}, sort_keys=False, allow_unicode=True, width=120)
    path.write_text(_HEAD.format(folder=folder) + told, encoding="utf-8")
    return path


def _cases(tester: EventTester, spec: PipelineSpec, fields: dict[str, EventField]) -> list[dict[str, Any]]:
    rules = {rule.field: rule for rule in spec.rules}
    made_up = {spec.event_id} if fields[spec.event_id].kind == "text" else set()
    left_out = {spec.event_time, *made_up}
    event = {name: _value(field, rules.get(name)) for name, field in fields.items() if name not in left_out}
    event = {name: value for name, value in event.items() if value is not None}
    try:
        found = tester.features_of(*tester.record(event))
    except RowError:
        return []
    if isinstance(found, tuple):
        return []
    features = {name: None if value != value else float(f"{value:.7g}") for name, value in found.items()}  # noqa: PLR0124
    cases = [{"name": "an ordinary event", "event": event, "features": features}]
    for rule in spec.rules:
        if rule.max is None or rule.field not in event:
            continue
        too_much = {**event, rule.field: rule.max + 1 if fields[rule.field].kind == "float" else int(rule.max) + 1}
        bad = tester.features_of(*tester.record(too_much))
        if isinstance(bad, tuple):
            name = f"{rule.field} beyond its largest value"
            cases.append({"name": name, "event": too_much, "dead_letter": bad[0], "because": rule.field})
            break
    return cases


def _value(field: EventField, rule: Rule | None) -> Any:
    """Something that the field may hold; None where only null is known to do."""
    if field.kind == "enum":
        return field.symbols[0]
    if rule is not None and rule.one_of:
        return rule.one_of[0]
    value = _VALUES.get(field.kind)
    bound = None if rule is None else rule.min if rule.min is not None else rule.max
    if value is None or bound is None or field.kind not in ("integer", "float"):
        return value
    return int(bound) if field.kind == "integer" else bound
