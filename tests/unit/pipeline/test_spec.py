"""pipeline.yaml: what is wrong is said, all of it, on its line and with what to do."""

import json
from pathlib import Path

import pytest
import yaml

from freshet.pipeline import PipelineError, PipelineSpec, check, compare, load_folder

SCHEMA = {
    "type": "record",
    "name": "Payment",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "card", "type": ["null", "string"], "default": None},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "amount", "type": "double"},
        {"name": "count", "type": "int"},
        {"name": "mcc", "type": {"type": "enum", "name": "Mcc", "symbols": ["FOOD", "FUEL"]}},
        {"name": "geo", "type": {"type": "record", "name": "Geo", "fields": [{"name": "country", "type": "string"}]}},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
    ],
}
GOOD = """\
pipeline: pay
entity: card
event_id: id
event_time: at
rules:
  - {field: amount, min: 0, max: 10}
  - {field: geo.country, one_of: [DE, FR]}
features:
  version: 1
  columns:
    - {kind: log, of: amount}
    - {kind: one_hot, of: mcc, vocabulary: [FOOD]}
    - {kind: cyclic_time, of: at, period: day}
target:
  classes: [legit, fraud]
"""


def problems(text: str) -> list[str]:
    """Everything that is said about this text, from parsing or checking."""
    try:
        return [str(problem) for problem in check(PipelineSpec.parse(text), SCHEMA)]
    except PipelineError as error:
        return str(error).splitlines()


def test_good_pipeline_has_no_problems() -> None:
    """Nested fields, nullable entities and enums are all right; features come in order, expanded."""
    assert problems(GOOD) == []
    names = PipelineSpec.parse(GOOD).feature_names
    assert names == ("log_amount", "mcc=FOOD", "at_day_sin", "at_day_cos")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "kind: log",
            "kind: lgo",
            "pipeline.yaml:11: features.columns[0].kind: unknown kind 'lgo'. Did you mean 'log'?",
        ),
        ("log, of: amount", "log", "pipeline.yaml:11: features.columns[0].of: is missing. The event field."),
        (
            "min: 0",
            "mni: 0",
            "pipeline.yaml:6: rules[0].mni: unknown key 'mni'. Did you mean 'min'? Known are field, min",
        ),
        ("min: 0", "min: 11", "pipeline.yaml:6: rules[0].min: min 11 is above max 10"),
        ("min: 0", 'min: "0"', "pipeline.yaml:6: rules[0].min: should be a number, not '0'."),
        ("min: 0", "min: .nan", "pipeline.yaml:6: rules[0].min: should be a finite number"),
        ("pipeline: pay", "pipeline: Pay", "pipeline.yaml:1: pipeline: "),
        ("pipeline: pay", f"pipeline: {'p' * 41}", "pipeline.yaml:1: pipeline: "),
        ("pipeline: pay", "pipeline: pay\npartitions: 0", "pipeline.yaml:2: partitions: "),
        (
            "event_time: at",
            "event_time: ats",
            "pipeline.yaml:4: event_time: unknown event field 'ats'. Did you mean 'at'?",
        ),
        (
            "event_time: at",
            "event_time: amount",
            "pipeline.yaml:4: event_time: field 'amount' is a number in event.avsc",
        ),
        ("event_id: id", "event_id: card", "pipeline.yaml:3: event_id: field 'card' may be null"),
        (
            "entity: card",
            "entity: tags",
            "pipeline.yaml:2: entity: field 'tags' is a type that features cannot be made of",
        ),
        (
            "field: amount",
            "field: geo",
            "pipeline.yaml:6: rules[0].field: unknown event field 'geo'. Known are id, card,",
        ),
        ("[DE, FR]", "[49]", "pipeline.yaml:7: rules[1].one_of: field 'geo.country' can never be 49"),
        ("[DE, FR]", "[NO]", "pipeline.yaml:7: rules[1].one_of[0]: False is neither a whole number nor text"),
        (
            "[FOOD]",
            "[FOOT]",
            "pipeline.yaml:12: features.columns[1]: field 'mcc' can never be 'FOOT': its symbols are FOOD",
        ),
        (
            "log, of: amount",
            "log, of: mcc",
            "pipeline.yaml:11: features.columns[0].of: field 'mcc' is an enum in event.",
        ),
        (
            "log, of: amount",
            "log, of: amount, since: 2",
            "pipeline.yaml:11: features.columns[0].since: since 2 must lie",
        ),
        (
            "of: at, period: day",
            "of: amount, period: day",
            "pipeline.yaml:13: features.columns[2].of: field 'amount' is",
        ),
        ("period: day", "period: dya", "pipeline.yaml:13: features.columns[2].period: 'dya' is not a duration"),
        (
            "[legit, fraud]",
            "[legit, no]",
            "pipeline.yaml:15: target.classes[1]: should be text, not False. Put",
        ),
        ("[legit, fraud]", "[a, b, a]", "pipeline.yaml:15: target.classes[2]: class 'a' is empty or listed twice."),
        ("  classes: [legit, fraud]", "  {}", "pipeline.yaml:14: target: a classification needs at least two classes"),
        (
            "event_time: at",
            "event_time: at\ndecoder: avor",
            "pipeline.yaml:5: decoder: unknown decoder 'avor'. Did you m",
        ),
        (
            "event_time: at",
            "event_time: at\nrollout: {policy: x}",
            "pipeline.yaml:5: rollout.policy: unknown policy 'x'",
        ),
        (
            "event_time: at",
            "event_time: at\nmax_event_age: 1:30",
            "pipeline.yaml:5: max_event_age: 90 is not a duration",
        ),
        ("event_time: at", "event_time: at\nevent_id: x", "pipeline.yaml:5: key 'event_id' is written twice"),
    ],
)
def test_problem_is_named_on_its_line(old: str, new: str, said: str) -> None:
    """One mistake gives one problem: file and line, path, what is wrong and what would be right."""
    found = problems(GOOD.replace(old, new, 1))
    assert len(found) == 1
    assert found[0].startswith(said)


def test_all_problems_are_reported_at_once() -> None:
    """A newcomer corrects a file once, not once per mistake."""
    bad = GOOD.replace("kind: log", "kind: lgo").replace("min: 0", "min: x").replace("classes", "klasses")
    assert [problem.split(":")[1] for problem in problems(bad)] == ["6", "11", "15"]
    unfit = GOOD.replace("field: amount", "field: amuont").replace("of: mcc", "of: mmc").replace("id: id", "id: di")
    assert [problem.split(":")[1] for problem in problems(unfit)] == ["3", "6", "12"]


def test_two_features_of_one_name_are_refused() -> None:
    """Inference picks columns by name, so a name must mean one thing."""
    twice = GOOD.replace("{kind: log, of: amount}", "{kind: log, of: amount, name: mcc=FOOD}")
    assert problems(twice) == [
        "pipeline.yaml:12: features.columns[1]: feature name 'mcc=FOOD' is empty or already taken; "
        "give this column another `name`."
    ]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "a: [", "\0", "- " * 3000, "{" * 3000, "a: !!python/object:os.system x", "d: 2024-13-45", "x" * 300_000],
    ids=["empty", "list", "open", "control", "deep-list", "deep-map", "object", "no-date", "huge"],
)
def test_what_is_no_pipeline_is_refused_with_a_sentence(text: str) -> None:
    """Whatever the text, the only error is PipelineError."""
    with pytest.raises(PipelineError):
        PipelineSpec.parse(text)


def test_aliases_are_refused() -> None:
    """Nested aliases stand for exponentially many values: a short file could take all memory."""
    bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"
    with pytest.raises(PipelineError, match="2: anchors and aliases"):
        PipelineSpec.parse(bomb)


def test_unsafe_event_schema_is_one_of_the_problems() -> None:
    """The event schema's faults are reported with those of the pipeline."""
    recursive = {"type": "record", "name": "R", "fields": [{"name": "r", "type": ["null", "R"]}]}
    found = check(PipelineSpec.parse(GOOD.replace("event_time: at", "event_time: at\ndecoder: x")), recursive)
    assert {problem.file for problem in found} == {"event.avsc", "pipeline.yaml"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"partitions": 12}, "partitions may not change from 6 to 12"),
        ({"pipeline": "other"}, "it is named 'other'"),
        ({"target": {"classes": ["fraud", "legit"]}}, "target may not change"),
        ({"version": 2}, "features.version goes from 1 to 2, with 0 columns appended"),
        ({"append": {"kind": "field", "of": "count"}}, "features.version goes from 1 to 1, with 1 columns appended"),
        ({"append": {"kind": "field", "of": "count"}, "version": 2}, "appended column count needs `since: 2`"),
        ({"append": {"kind": "field", "of": "count", "since": 2}, "version": 2}, None),
        ({"first": {"kind": "log", "of": "amount", "name": "renamed"}}, "features.columns[0] (log_amount) was changed"),
        ({"drop": True}, "features.columns[2] (at_day_sin, at_day_cos) was changed, moved or removed"),
    ],
)
def test_specification_only_grows(change: dict[str, object], reason: str | None) -> None:
    """Live models select columns by name and partition by entity, so only appending is allowed."""
    data = yaml.safe_load(GOOD)
    columns = data["features"]["columns"]
    data["features"]["version"] = change.pop("version", 1)
    columns += [change.pop("append")] if "append" in change else []
    columns[0] = change.pop("first", columns[0])
    if change.pop("drop", False):
        columns.pop()
    new = PipelineSpec.parse(yaml.safe_dump({**data, **change}))
    reasons = compare(PipelineSpec.parse(GOOD), new)
    assert len(reasons) == (reason is not None)
    assert reason is None or reasons[0].startswith(reason)


def test_folder_is_loaded_with_its_text(tmp_path: Path) -> None:
    """The text is published as it was written; a missing or broken file is named."""
    (tmp_path / "pipeline.yaml").write_text(GOOD)
    with pytest.raises(PipelineError, match=r"event\.avsc: is not there"):
        load_folder(tmp_path)
    (tmp_path / "event.avsc").write_text('{"type": "record",\n oops')
    with pytest.raises(PipelineError, match=r"event\.avsc:2: this is not JSON"):
        load_folder(tmp_path)
    (tmp_path / "event.avsc").write_text(json.dumps(SCHEMA))
    assert load_folder(tmp_path) == (PipelineSpec.parse(GOOD), GOOD, SCHEMA)
    (tmp_path / "event.avsc").write_text("[" * 100_000)
    with pytest.raises(PipelineError, match=r"event\.avsc: this is not JSON"):
        load_folder(tmp_path)


def test_comments_and_layout_change_nothing() -> None:
    """A file that says the same is the same specification: applying it again publishes nothing."""
    assert PipelineSpec.parse(GOOD) == PipelineSpec.parse("# a comment\n\n" + GOOD.replace("min: 0", "min:   0.0"))
