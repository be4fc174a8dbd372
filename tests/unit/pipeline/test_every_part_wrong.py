"""A pipeline.yaml that is wrong in any one place is told what is wrong, never how Python fails on it."""

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from freshet.pipeline import PipelineError, PipelineSpec, check
from support.every_section import EVERY_SECTION, SCHEMA

WRONG: tuple[Any, ...] = (
    None,
    -1,
    float("nan"),
    "text",
    [],
    [{}],
    {"kind": "nothing"},
    {"kind": [1]},
    {"kind": "field", "field": "a"},
    {"kind": "rows", "rows": {"rows": 1}},
    {1: 2},
)
NEEDED = ("pipeline", "entity", "event_id", "event_time", "target")
"""Beside a section that is tried; reading all others each time would take minutes."""
PYTHON = re.compile(r"\b(tuple|dict|dictionary|instance of|NoneType|Traceback|valid (string|integer))\b|Error\b")


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in it."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places(part, (*path, key))


def mutants(path: tuple[Any, ...]) -> Iterator[dict[str, Any]]:
    """The good file with this place missing, called otherwise, beside a stranger, or of each wrong kind."""
    whole = copy.deepcopy({key: EVERY_SECTION[key] for key in (*NEEDED, path[0])})
    whole.setdefault("features", {"version": 1, "columns": [{"kind": "field", "of": "amount", "name": "plain"}]})
    at: Any = whole
    for step in path[:-1]:
        at = at[step]
    right = at[path[-1]]
    for wrong in WRONG:
        at[path[-1]] = wrong
        yield whole
    del at[path[-1]]
    yield whole
    if isinstance(at, dict):
        at[f"{path[-1]}x"] = right
        yield whole
        at[path[-1]] = right
        yield whole


def said(data: dict[str, Any]) -> list[str]:
    """The problems of this file, as `freshet pipeline check` finds them."""
    text = yaml.dump(data, Dumper=_Dumper, sort_keys=False)
    try:
        return [str(problem) for problem in check(PipelineSpec.parse(text), SCHEMA)]
    except PipelineError as error:
        sound = PipelineSpec.sound_parts(text)
        return [*str(error).splitlines(), *(map(str, check(sound, SCHEMA)) if sound else ())]


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes no anchors: a value that stands twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def test_the_good_file_is_good() -> None:
    """Else the others prove nothing."""
    assert said(EVERY_SECTION) == []


LARGE = ("features", "retraining")


@pytest.mark.parametrize(
    "section",
    [pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in sorted(EVERY_SECTION)],
)
def test_each_part_that_is_wrong_is_told_in_sentences(section: str) -> None:
    """With the place, and without the words of Python."""
    for path in places(EVERY_SECTION[section], (section,)):
        for mutant in mutants(path):
            for sentence in said(mutant):
                assert sentence.startswith("pipeline.yaml"), (path, sentence)
                assert not PYTHON.search(sentence.partition(", not ")[0]), (path, sentence)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ("{kind: field, field: a}", ["columns[0].of: is missing", "columns[0].field: unknown key 'field'"]),
        ("{kind: log, log: a}", ["columns[0].of: is missing", "columns[0].log: unknown key 'log'"]),
        ("{kind: field, of: {field: a}}", ["columns[0].of: should be text"]),
    ],
)
def test_key_that_is_called_as_its_kind_is_no_riddle(columns: str, expected: list[str]) -> None:
    """Pydantic names the kind in its place, too."""
    data = copy.deepcopy(EVERY_SECTION)
    data["features"] = yaml.safe_load(f"{{version: 1, columns: [{columns}]}}")
    text = "\n".join(said(data))
    assert [part for part in expected if part not in text] == []
