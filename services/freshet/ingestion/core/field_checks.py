"""The pipeline's rules as checks over columns."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from freshet.avro import Column, Enum, Nullable, NumericColumn, Strings
from freshet.avro.event_fields import EventField
from freshet.contracts.arrays import Bools
from freshet.features.event_columns import ABSENT, Vocabulary
from freshet.ingestion.core.validator import Validator, shown
from freshet.pipeline import PipelineSpec, Rule


@dataclass(frozen=True, slots=True, eq=False)
class Check:
    """One demand on one field: the reason code when a row breaks it, the demand in words, and which rows break it."""

    field: str
    reason: str
    demand: str
    failing: Callable[[Column], Bools]

    def apply(self, validator: Validator) -> None:
        """Set aside the rows that break the demand."""
        column = validator.columns[self.field]
        validator.refuse(
            self.failing(column), self.reason, lambda row: f"{self.field} is {value_at(column, row)}: {self.demand}"
        )


def checks_of(spec: PipelineSpec, fields: Mapping[str, EventField]) -> list[Check]:
    """The pipeline's demands on single fields, in the order in which they are made.

    Every float field that a rule or a feature names must be finite, unless a rule of that field says otherwise.
    """
    named = dict.fromkeys(
        [*(rule.field for rule in spec.rules), *(name for column in spec.features.columns for name in column.inputs())]
    )
    exempt = {rule.field for rule in spec.rules if not rule.finite}
    return [
        present(spec.event_id),
        *(_finite(name) for name in named if fields[name].kind == "float" and name not in exempt),
        *(check for rule in spec.rules for check in _demands(rule)),
    ]


def present(field: str) -> Check:
    """The field must hold something: not null, not empty text."""

    def failing(column: Column) -> Bools:
        return column.lengths == 0 if isinstance(column, Strings) else np.zeros(len(column), np.bool_)

    return Check(field, "input_missing", "every record needs it.", failing)


def one_of(field: str, choices: tuple[int | str, ...], demand: str) -> Check:
    """The field, where it is not null, must hold one of the choices."""
    known = Vocabulary(choices)
    return Check(field, "input_enum", demand, lambda column: (known.find(column) == ABSENT) & ~_null(column))


def _finite(field: str) -> Check:
    demand = "it must be a finite number, since no rule on it says `finite: false`."
    return Check(field, "input_not_finite", demand, _of_numbers(lambda values: ~np.isfinite(values)))


def _demands(rule: Rule) -> Iterator[Check]:
    low, high = rule.min, rule.max
    if rule.required:
        yield Check(rule.field, "input_missing", "its rule says `required`.", _null)
    if low is not None:
        demand = f"its rule asks for at least {low:.12g}."
        yield Check(rule.field, "input_range", demand, _of_numbers(lambda values: values < low))
    if high is not None:
        demand = f"its rule asks for at most {high:.12g}."
        yield Check(rule.field, "input_range", demand, _of_numbers(lambda values: values > high))
    if rule.one_of:
        yield one_of(rule.field, rule.one_of, f"its rule asks for one of {shown(rule.one_of)}.")


def _null(column: Column) -> Bools:
    return ~column.valid if isinstance(column, Nullable) else np.zeros(len(column), np.bool_)


def _of_numbers(failing: Callable[[NumericColumn], Bools]) -> Callable[[Column], Bools]:
    """The demand on numbers for a column of them; null never breaks it."""

    def of_present(column: Column) -> Bools:
        if isinstance(column, Nullable):
            return of_present(column.values) & column.valid
        assert isinstance(column, np.ndarray)
        return failing(column)

    return of_present


def value_at(column: Column, row: int) -> str:
    """One row's value for a sentence."""
    if isinstance(column, Nullable):
        return value_at(column.values, row) if column.valid[row] else "null"
    if isinstance(column, Strings | Enum):
        return shown(column.take(np.array([row])).tolist()[0])
    return shown(column[row].item()) if isinstance(column, np.ndarray) else "a value"
