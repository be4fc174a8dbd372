"""What every feature transform must be, whoever wrote it: one suite over all that the catalogue finds."""

import math
from functools import cache
from typing import Any

import numpy as np
import pytest
import yaml

from freshet.avro import Column, Enum, Nullable, Strings, take
from freshet.avro.event_fields import EventField, FieldKind
from freshet.features.transform import Transform
from freshet.pipeline import FeatureSpec
from freshet.pipeline.catalogue import transforms

ROWS = 263  # no multiple of a vector register's width, so that the last rows take another path through numpy

EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "field": [{"of": "$"}, {"of": "$", "default": -1.5, "name": "n"}],
    "log": [{"of": "$"}, {"of": "$", "name": "n", "since": 2}],
    "ratio": [{"of": "$", "per": "$"}, {"of": "$", "per": "$", "default": 0.25, "name": "n"}],
    "cyclic_time": [{"of": "$", "period": period} for period in ("day", "week", "year", "90s")],
    "one_hot": [
        {"of": "$", "vocabulary": ["NO", "1", "é"], "other": True},
        {"of": "$", "vocabulary": ["", "a"]},
        {"of": "$", "vocabulary": [1, -(2**63)], "name": "n"},
    ],
    "impute": [{"of": "$", "value": 0.1}],
}
"""Parameters to try for each kind; `$` stands for an event field. A new transform adds a line here."""

KINDS: tuple[FieldKind, ...] = ("integer", "float", "boolean", "text", "enum", "time")
SYMBOLS = ("NO", "b", "c")


def column(kind: FieldKind, seed: int) -> Column:
    """All that a decoder can hand over for a field of this kind, extremes included."""
    draw = np.random.default_rng(seed)
    if kind == "boolean":
        return draw.random(ROWS) < 0.5
    if kind == "enum":
        return Enum(draw.integers(0, 3, ROWS).astype(np.int32), SYMBOLS)
    if kind == "text":
        words = ["NO", "1", "é", "", "a", "a\0", "x" * 400]
        return Strings.from_list([words[at] for at in draw.integers(0, len(words), ROWS)])
    if kind == "float":
        extremes = [0.0, -0.0, 5e-324, 1e-45, 1e308, -1e308, 3.4e38, 3.5e38, math.nan, math.inf, -math.inf]
        return np.concatenate([extremes, draw.normal(scale=1e3, size=ROWS - len(extremes))])
    edges = [0, 1, -1, 2**63 - 1, -(2**63), 2**53 + 1]
    return np.concatenate([edges, draw.integers(-(2**40), 2**40, ROWS - len(edges))])


def fields() -> dict[str, EventField]:
    """One event field of each kind, and one that may be null."""
    made: dict[str, EventField] = {
        kind: EventField(kind, kind, symbols=SYMBOLS if kind == "enum" else ()) for kind in KINDS
    }
    return made | {f"{kind}?": EventField(f"{kind}?", kind, True, made[kind].symbols) for kind in KINDS}


@cache
def columns() -> dict[str, Column]:
    """A column for each of `fields`."""
    some = np.random.default_rng(9).random(ROWS) < 0.7
    plain: dict[str, Column] = {kind: column(kind, seed) for seed, kind in enumerate(KINDS)}
    return plain | {f"{kind}?": Nullable(column(kind, 7), some) for kind in KINDS}


def parsed(kind: str, parameters: dict[str, Any]) -> Transform:
    """The transform as pipeline.yaml would name it."""
    entry = {key: tuple(value) if isinstance(value, list) else value for key, value in parameters.items()}
    return FeatureSpec.model_validate({"version": 2, "columns": ({"kind": kind, **entry},)}).columns[0]


def cases() -> list[Transform]:
    """Each example on each field that it can read."""
    made = []
    for kind, examples in EXAMPLES.items():
        for parameters in examples:
            for name, field in fields().items():
                transform = parsed(kind, {key: name if value == "$" else value for key, value in parameters.items()})
                if field.kind in transform.accepts and transform.disagreement(fields()) is None:
                    made.append(transform)
    return made


every_case = pytest.mark.parametrize("transform", cases(), ids=lambda case: f"{case.kind}-{'-'.join(case.inputs())}")


def inputs_of(transform: Transform) -> dict[str, Column]:
    """Only the columns that it says it reads."""
    return {name: columns()[name] for name in transform.inputs()}


def test_every_transform_is_tried() -> None:
    """A transform without an example, or whose examples fit no field, would pass this suite unseen."""
    assert set(EXAMPLES) == set(transforms().kinds())
    assert {case.kind for case in cases()} == set(transforms().kinds())


@every_case
def test_shape_is_fixed(transform: Transform) -> None:
    """float32 (n, names), for no rows too; names are distinct and not empty."""
    names = transform.names()
    assert len(set(names)) == len(names) > 0
    assert all(names)
    for rows in (np.arange(ROWS), np.arange(0)):
        made = transform.compute({name: take(values, rows) for name, values in inputs_of(transform).items()})
        assert made.shape == (rows.size, len(names))
        assert made.dtype == np.float32


@every_case
def test_row_alone_has_the_bits_it_has_in_a_batch(transform: Transform) -> None:
    """A prediction must not depend on which events happened to arrive together."""
    given = inputs_of(transform)
    whole = transform.compute(given)
    for row in range(ROWS):
        alone = transform.compute({name: take(values, np.array([row])) for name, values in given.items()})
        assert alone.tobytes() == whole[row : row + 1].tobytes()


@every_case
def test_same_rows_give_the_same_bits(transform: Transform) -> None:
    """Twice, backwards, and with another object of the same parameters; the inputs stay as they were."""
    given = inputs_of(transform)
    first = transform.compute(given)
    assert transform.compute(given).tobytes() == first.tobytes()
    backwards = np.arange(ROWS)[::-1].copy()
    turned = transform.compute({name: take(values, backwards) for name, values in given.items()})
    assert np.ascontiguousarray(turned[::-1]).tobytes() == first.tobytes()
    again = parsed(transform.kind, {k: v for k, v in transform.model_dump().items() if k != "kind"})
    assert again.compute(inputs_of(transform)).tobytes() == first.tobytes()


@every_case
def test_no_value_never_becomes_infinite(transform: Transform) -> None:
    """Null and NaN are "no value": a number or NaN comes out, never an infinity that would refuse the event."""
    nothing = np.zeros(ROWS, np.bool_)
    absent: dict[str, Column] = {}
    for name, values in inputs_of(transform).items():
        if isinstance(values, Nullable):
            absent[name] = Nullable(values.values, nothing)
        elif isinstance(values, np.ndarray) and values.dtype.kind == "f":
            absent[name] = np.full(ROWS, math.nan)
        else:
            absent[name] = values
    if any(absent[name] is not values for name, values in inputs_of(transform).items()):
        made = transform.compute(absent)
        assert not np.isinf(made).any()


@every_case
def test_parameters_survive_yaml(transform: Transform) -> None:
    """What is written to a file and read again is the same transform."""
    text = yaml.safe_dump({key: list(v) if isinstance(v, tuple) else v for key, v in transform.model_dump().items()})
    entry = yaml.safe_load(text)
    again = parsed(entry.pop("kind"), entry)
    assert again == transform
    assert again.names() == transform.names()
