"""The sign before decimals, column by column: each on its own evidence, and nothing ambiguous is read in silence."""

import csv
from pathlib import Path

import numpy as np
import pytest

from freshet.contracts.errors import ContractError
from freshet.operate.tables.sample import read_sample
from freshet.operate.tables.table import Dialect, Table
from freshet.operate.tables.table_events import CsvEvents
from freshet.pipeline import load_checked

from .test_pipeline_commands import freshet

ROWS = 60


def table(tmp_path: Path, *columns: list[str], delimiter: str = ";", name: str = "t.csv") -> Path:
    """Columns of cells as a file; the first cell of each is its title."""
    path = tmp_path / name
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(zip(*columns, strict=True))
    return path


def column(title: str, cell: str) -> list[str]:
    """`#` in the cell is a digit of the row."""
    return [title, *(cell.replace("#", str(1 + n % 9)) for n in range(ROWS))]


LABEL = column("y", "c")[:1] + ["ab"[n % 2] for n in range(ROWS)]
AREA, LATITUDE, SALES = column("area", "1.0#0,5"), column("latitude", "52.#1"), column("sales", "#.250")


def first(path: Path, dialect: Dialect | None = None) -> list[str]:
    return list(next(iter(Table(path, dialect))).cells)


def test_each_column_is_judged_by_its_own_numbers(tmp_path: Path) -> None:
    """Decimal commas in one column do not touch the points of another; both are kept with the pipeline."""
    path = table(tmp_path, AREA, LATITUDE, LABEL)
    assert first(path)[:2] == ["1010.5", "52.11"]
    assert Table(path).told == [
        "columns are separated by ';'",
        "decimals have a comma in 'area', and a point in 'latitude'",
    ]
    assert Table(path).unusual == {"delimiter": ";", "decimals": {"area": ",", "latitude": "."}}


@pytest.mark.parametrize(("other", "value"), [(AREA, "1250"), (LATITUDE, "1.250")])
def test_an_open_column_is_read_as_all_others_and_said(tmp_path: Path, other: list[str], value: str) -> None:
    """1.250 beside decimal commas is a thousand and more, beside decimal points a little above one."""
    found = Table(table(tmp_path, SALES, other, LABEL))
    assert next(iter(found)).cells[0] == value
    assert f"in 'sales', '1.250' is read as {value}, as other columns have" in found.told[-1]


@pytest.mark.parametrize("columns", [(SALES, LABEL), (SALES, AREA, LATITUDE, LABEL)])
def test_what_nothing_decides_is_refused_until_it_is_said(tmp_path: Path, columns: tuple[list[str], ...]) -> None:
    """Three digits after every point, and no other column to go by, or two that differ."""
    path = table(tmp_path, *columns)
    with pytest.raises(ContractError, match=r"t.csv: column 'sales' .* '1.250': that may be 1.250 or 1250.*--decimal"):
        first(path)
    assert [first(path, Dialect(decimal=sign))[0] for sign in ".,"] == ["1.250", "1250"]


def test_between_commas_a_point_is_a_decimal_point(tmp_path: Path) -> None:
    """Where commas separate columns, 1.250 is a little above one and 1,250 a thousand; both are said."""
    found = Table(table(tmp_path, SALES, column("stock", "#,000"), LABEL, delimiter=","))
    assert next(iter(found)).cells[:2] == ["1.250", "1000"]
    assert "in 'sales', 'stock', '1.250' is read as 1.250, as commas separate the columns" in found.told[0]


def test_english_thousands_are_numbers(tmp_path: Path) -> None:
    """1,234.50 has a decimal point; a 1,234 among such is a thousand and more."""
    path = table(tmp_path, ["price", "1,234.50", "1,234", "7.5", "12"], ["y", "a", "b", "a", "b"], delimiter=",")
    assert [line.cells[0] for line in Table(path)] == ["1234.50", "1234", "7.5", "12"]


def test_a_column_that_contradicts_itself_is_refused_by_new(tmp_path: Path) -> None:
    """One 3,5 among decimal points: the table is not turned over, nor the cell."""
    path = table(tmp_path, ["price", "1.5", "3,5", *["2.25"] * 9], ["y", *"ababababab", "a"])
    with pytest.raises(ContractError, match=r"'price' holds '1.5', which has a decimal point, and '3,5'"):
        first(path)


def test_a_cell_with_the_other_sign_is_named_in_a_later_table(tmp_path: Path) -> None:
    """It is a bad cell of its row, whichever sign the column has: 12.5 is not read where decimals have commas."""
    for name, good, bad in (("de", "2,5", "12.5"), ("en", "2.5", "12,5")):
        path = table(tmp_path, column("price", good), LABEL, name=f"{name}.csv")
        done = freshet("pipeline", "new", name, "--csv", path, "--label", "y", "--dir", tmp_path / name)
        assert done.exit_code == 0, done.stderr
        spec, _, schema = load_checked(tmp_path / name)
        later = table(tmp_path, ["price", good, bad], ["y", "a", "b"], name="later.csv")
        survey = CsvEvents(later, spec, schema).survey
        assert (survey.rows, survey.left_out) == (1, 1)
        assert f"column 'price' holds {bad!r}, which is not a number" in survey.named[0]


def test_text_that_looks_like_numbers_stays_as_it_is(tmp_path: Path) -> None:
    """A field of text keeps its dots in every later table, whatever the decimals of others are."""
    codes = ["code", *(("1.100", "2.200", "x")[n % 3] for n in range(ROWS))]
    path = table(tmp_path, codes, AREA, LABEL)
    done = freshet("pipeline", "new", "t", "--csv", path, "--label", "y", "--dir", tmp_path / "t")
    assert done.exit_code == 0, done.stderr
    spec, _, schema = load_checked(tmp_path / "t")
    later = table(tmp_path, ["code", "1.100"], ["area", "7,5"], ["y", "a"], name="later.csv")
    (events,) = CsvEvents(later, spec, schema)
    assert events.columns["code"].tolist() == ["1.100"]  # type: ignore[union-attr]


def test_all_commands_read_as_new_was_told(tmp_path: Path) -> None:
    """`--decimal ,` of `new` is kept: features, replay's events and pack's sample read 1.250 as a thousand and more."""
    path, out = table(tmp_path, SALES, LABEL), tmp_path / "f.csv"
    new = ("pipeline", "new", "t", "--csv", path, "--label", "y", "--dir", tmp_path / "t")
    refused = freshet(*new)
    assert refused.exit_code == 1
    assert "--decimal" in refused.stderr
    assert freshet(*new, "--decimal", ",").exit_code == 0
    spec, _, schema = load_checked(tmp_path / "t")
    assert schema["table_dialect"] == {"delimiter": ";", "decimal": ","}
    done = freshet("pipeline", "features", tmp_path / "t", "--csv", path, "--label", "y", "-o", out)
    assert done.exit_code == 0, done.stderr
    assert next(csv.DictReader(out.read_text().splitlines()))["sales"] == "1250.0"
    (events,) = CsvEvents(path, spec, schema)
    assert np.asarray(events.columns["sales"])[0] == 1250
    for sample in (path, out):  # the table of events, whose column is called as the feature, and that of features
        rows = read_sample(sample, spec, schema, spec.feature_names, label_column="y").rows
        assert rows[:2].tolist() == [[1250.0], [2250.0]]
