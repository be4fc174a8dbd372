"""Rows of many records at once against the rows of each."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshet.contracts.errors import ContractError
from freshet.contracts.messages import Outcomes
from freshet.outcomes.outcome_rows import OutcomeRows, check_columns
from support.outcomes import record_of, rows_of

VERSIONS = st.lists(st.sampled_from(["1.0.0", "1.1.0", "2.0.0"]), min_size=1, max_size=3, unique=True)


@st.composite
def records(draw: st.DrawFn) -> list[Outcomes]:
    """Records of few rows, or none, that name their versions in any order."""
    found = []
    for names in draw(st.lists(VERSIONS, min_size=1, max_size=8)):
        version = np.array(draw(st.lists(st.integers(0, len(names) - 1), max_size=5)), np.int64)
        values = np.full((len(version), 3), draw(st.floats(width=32)), np.float32)
        scores = np.full((len(version), 2), np.nan, np.float32)
        rows = rows_of(len(version), versions=tuple(names), version=version, values=values, scores=scores)
        found.append(record_of(rows))
    return found


@given(records())
def test_the_rows_of_many_records_are_those_of_each(some: list[Outcomes]) -> None:
    """In order, with each row's own version."""
    every, single = OutcomeRows.of_all(some), [OutcomeRows.of(record) for record in some]
    assert every.versions == tuple(dict.fromkeys(name for record in some for name in record.versions))
    named = [rows.versions[code] for rows in single for code in rows.version]
    assert [every.versions[code] for code in every.version] == named
    for column in fields(OutcomeRows):
        if column.name not in ("versions", "version"):
            apart = np.concatenate([getattr(rows, column.name) for rows in single])
            np.testing.assert_array_equal(getattr(every, column.name), apart, strict=True)


@pytest.mark.parametrize(
    "change",
    [{"values": b"\0" * 4}, {"rows": 3}, {"width": 1}, {"classes": 3}, {"versions": ()}, {"version": b"\0\0\1\0"}],
)
def test_columns_that_are_not_what_the_record_says_are_refused(change: dict[str, object]) -> None:
    """Else they would be read as rows of the next record."""
    whole = record_of(rows_of(2))
    check_columns(whole)
    with pytest.raises(ContractError, match="outcomes record"):
        check_columns(whole.model_copy(update=change))
