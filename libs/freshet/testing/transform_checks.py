"""What every feature transform must be, whoever wrote it."""

import math
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

import numpy as np
import yaml
from pydantic import ValidationError

from freshet.avro import Column, Enum, Nullable, Strings, take
from freshet.avro.event_fields import EventField, FieldKind
from freshet.contracts.arrays import Floats32, Ints
from freshet.features.transform import Transform
from freshet.testing.conformance import ConformanceError, require

_ROWS: Final = 263  # no multiple of a vector register's width, so that the last rows take another path through numpy
_ALL: Final = np.arange(_ROWS)
_KINDS: Final[tuple[FieldKind, ...]] = ("integer", "float", "boolean", "text", "enum", "time")
_SYMBOLS: Final = ("NO", "b", "c")


def check_transform(part: type[Transform], *examples: Mapping[str, Any]) -> None:
    """Check a transform with these parameters, each as in pipeline.yaml; "$" stands for an event field.

    Each example is tried on every kind of field that the transform accepts, with and without nulls, and with extreme
    values. The features must have a fixed shape and distinct names; a row must get the same bits alone, in any batch
    and in any order; "no value" must never become infinite; and parameters must survive being written as YAML.

    `check_transform(Clip, {"of": "$", "low": 0.0})`. Raises ConformanceError.
    """
    require(getattr(part, "kind", ""), f"{part.__name__} has no `kind`, the word that names it in pipeline.yaml.")
    for parameters in examples:
        cases = list(_cases(part, parameters))
        fields = ", ".join(sorted(part.accepts))
        require(cases, f"{part.kind} with {dict(parameters)} fits no field that it accepts ({fields}).")
        for transform in cases:
            _Case(transform).check()
    require(examples, f"{part.kind} was checked with no parameters at all: give at least one example.")


def _cases(part: type[Transform], parameters: Mapping[str, Any]) -> Iterator[Transform]:
    """The example on each field that it can read."""
    for name, field in _fields().items():
        entry = {key: name if value == "$" else value for key, value in parameters.items()}
        if field.kind not in part.accepts:
            continue
        transform = _made(part, entry)
        strangers = set(transform.inputs()) - set(_fields())
        require(
            not strangers,
            f"{part.kind} with {entry} reads {', '.join(sorted(strangers))}, which no parameter names: `inputs` must "
            'list the event fields among the parameters, written "$" in an example.',
        )
        if transform.disagreement(_fields()) is None:
            yield transform


def _made(part: type[Transform], entry: Mapping[str, Any]) -> Transform:
    """The transform of an entry as YAML has it: lists, where parameters are tuples."""
    try:
        return part.model_validate({key: tuple(v) if isinstance(v, list) else v for key, v in entry.items()})
    except ValidationError as error:
        raise ConformanceError(f"{part.kind} does not take the parameters {dict(entry)}: {error}") from error


class _Case:
    """One transform on columns that it reads."""

    def __init__(self, transform: Transform) -> None:
        self._transform = transform
        self._name = f"{transform.kind} of {', '.join(transform.inputs())}"

    def check(self) -> None:
        """All laws, the simplest first."""
        self._shape_is_fixed()
        self._features_stay_in_their_domains()
        self._same_rows_give_the_same_bits()
        self._row_alone_is_as_in_a_batch()
        self._no_value_never_becomes_infinite()
        self._parameters_survive_yaml()

    def _inputs(self, rows: Ints = _ALL) -> dict[str, Column]:
        """Copies of only the columns that it says it reads."""
        return {name: take(_columns()[name], rows) for name in self._transform.inputs()}

    def _compute(self, columns: Mapping[str, Column], transform: Transform | None = None) -> Floats32:
        try:
            return (transform or self._transform).compute(columns)
        except Exception as error:
            raise ConformanceError(
                f"{self._name} raises {type(error).__name__} ({error}): `compute` must take every value of its fields, "
                "and no other column than those that `inputs` lists."
            ) from error

    def _shape_is_fixed(self) -> None:
        names = self._transform.names()
        require(names and all(names), f"{self._name} must name its features; `names` gives {names}.")
        require(len(set(names)) == len(names), f"{self._name} gives two features one name: {names}.")
        for rows in (_ALL, np.arange(0)):
            made = self._compute(self._inputs(rows))
            want = (rows.size, len(names))
            require(made.shape == want, f"{self._name} gives shape {made.shape} for {want[0]} rows; it must be {want}.")
            require(made.dtype == np.float32, f"{self._name} gives {made.dtype}; it must be float32.")

    def _features_stay_in_their_domains(self) -> None:
        """A model is compared with its original in the domains alone."""
        names, domains = self._transform.names(), self._transform.domains()
        require(len(domains) == len(names), f"{self._name} has {len(names)} features and {len(domains)} domains.")
        for name, can, made in zip(names, domains, self._compute(self._inputs()).T, strict=True):
            given = made[~np.isnan(made)]
            outside = given[(given < can.low) | (given > can.high) | (can.whole & (given != np.floor(given)))]
            require(not outside.size, f"{self._name} gives {name} the value {outside[:1]}, outside {can}.")
            require(can.blank or given.size == made.size, f"{self._name} gives {name} no value, but {can} has one.")

    def _same_rows_give_the_same_bits(self) -> None:
        given = self._inputs()
        first = self._compute(given)
        again = self._compute(given)
        require(
            again.tobytes() == first.tobytes(),
            f"{self._name} gives other features when it is asked again: it may neither change its columns nor depend "
            "on time, chance or what it saw before.",
        )
        turned = self._compute(self._inputs(_ALL[::-1].copy()))[::-1]
        self._equal(turned, first, "with the rows in the opposite order")
        parameters = {key: value for key, value in self._transform.model_dump().items() if key != "kind"}
        self._equal(self._compute(given, _made(type(self._transform), parameters)), first, "made anew")

    def _row_alone_is_as_in_a_batch(self) -> None:
        alone = [self._compute(self._inputs(_ALL[row : row + 1])) for row in range(_ROWS)]
        self._equal(np.concatenate(alone), self._compute(self._inputs()), "with each row alone")

    def _equal(self, made: Floats32, first: Floats32, how: str) -> None:
        """Bit by bit, so that NaN equals NaN and 0 is not -0."""
        different = np.flatnonzero((made.copy().view(np.uint32) != first.copy().view(np.uint32)).any(axis=1))
        if different.size:
            row = int(different[0])
            raise ConformanceError(
                f"{self._name} {how} gives {made[row].tolist()} for row {row}, and {first[row].tolist()} in the whole "
                "batch: a prediction may not depend on which events arrive together."
            )

    def _no_value_never_becomes_infinite(self) -> None:
        """Null and NaN are "no value": an infinity would make the event a dead letter."""
        made = self._compute({name: _without_values(column) for name, column in self._inputs().items()})
        may = any(_may_lack_values(column) for column in self._inputs().values())
        require(
            not (may and np.isinf(made).any()),
            f"{self._name} gives infinity where a field has no value: it must be a number or NaN, as infinity makes "
            "the event a dead letter.",
        )

    def _parameters_survive_yaml(self) -> None:
        dumped = self._transform.model_dump()
        text = yaml.safe_dump(
            {key: list(v) if isinstance(v, tuple) else v for key, v in dumped.items() if key != "kind"}
        )
        again = _made(type(self._transform), yaml.safe_load(text))
        require(
            again == self._transform and again.names() == self._transform.names(),
            f"{self._name} is another transform once its parameters were written as YAML and read again: {text}",
        )


def _may_lack_values(column: Column) -> bool:
    return isinstance(column, Nullable) or (isinstance(column, np.ndarray) and column.dtype.kind == "f")


def _without_values(column: Column) -> Column:
    """The column with nothing but null or NaN, as far as it can."""
    if isinstance(column, Nullable):
        return Nullable(column.values, np.zeros(len(column), np.bool_))
    return np.full(len(column), math.nan) if isinstance(column, np.ndarray) and _may_lack_values(column) else column


@cache
def _fields() -> dict[str, EventField]:
    """One event field of each kind, and one that may be null."""
    plain: dict[str, EventField] = {
        kind: EventField(kind, kind, symbols=_SYMBOLS if kind == "enum" else ()) for kind in _KINDS
    }
    return plain | {f"{kind}?": EventField(f"{kind}?", kind, True, plain[kind].symbols) for kind in _KINDS}


@cache
def _columns() -> dict[str, Column]:
    """A column for each of `_fields`."""
    some = np.random.default_rng(9).random(_ROWS) < 0.7
    plain: dict[str, Column] = {kind: _column(kind, seed) for seed, kind in enumerate(_KINDS)}
    return plain | {f"{kind}?": Nullable(_column(kind, 7), some) for kind in _KINDS}


def _column(kind: FieldKind, seed: int) -> Column:
    """All that a decoder can hand over for a field of this kind, extremes included."""
    draw = np.random.default_rng(seed)
    if kind == "boolean":
        return draw.random(_ROWS) < 0.5
    if kind == "enum":
        return Enum(draw.integers(0, 3, _ROWS).astype(np.int32), _SYMBOLS)
    if kind == "text":
        words = ["NO", "1", "é", "", "a", "a\0", "x" * 400]
        return Strings.from_list([words[at] for at in draw.integers(0, len(words), _ROWS)])
    if kind == "float":
        extremes = [0.0, -0.0, 5e-324, 1e-45, 1e308, -1e308, 3.4e38, 3.5e38, math.nan, math.inf, -math.inf]
        return np.concatenate([extremes, draw.normal(scale=1e3, size=_ROWS - len(extremes))])
    edges = [0, 1, -1, 2**63 - 1, -(2**63), 2**53 + 1]
    return np.concatenate([edges, draw.integers(-(2**40), 2**40, _ROWS - len(edges))])
