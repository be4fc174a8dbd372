"""A first pipeline, guessed from a table or as a template: it must run as it is."""

import json

import pytest

from freshet.avro.event_fields import event_fields
from freshet.contracts.errors import ContractError
from freshet.operate.operate_error import OperateError
from freshet.operate.tables.cells import is_missing
from freshet.operate.tables.scaffold import MOST_COLUMNS, Guess, infer_pipeline, template
from freshet.operate.tables.titles import field_names
from freshet.pipeline import PipelineSpec, check

HEADER = ["Credit Amount (EUR)", "credit amount.EUR", "on/off", "note", "1st", "result"]
ROWS = [
    [f"{row}.5", "7", ("yes", "no", "other")[row % 3], f"free {row}", "NA" if row else "3", "NO"] for row in range(30)
]
ROWS[0][-1] = "YES"
ROWS[1][2] = ""


def parsed(made: Guess | tuple[str, str]) -> tuple[PipelineSpec, dict[str, object]]:
    """The pair as what it says; fails unless the check passes."""
    spec, schema = PipelineSpec.parse(made[0]), json.loads(made[1])
    assert check(spec, schema) == []
    return spec, schema


def test_template_runs_as_it_is() -> None:
    """A newcomer's first `freshet pipeline check` must not fail on our own example."""
    spec, _ = parsed(template("my-case"))
    assert spec.pipeline == "my-case"


def test_table_becomes_a_pipeline() -> None:
    """Numbers are fields, few texts a one-hot of what was seen, free text nothing; the label is not in the event."""
    spec, schema = parsed(infer_pipeline("credit", HEADER, ROWS, "result"))
    assert spec.feature_names == (
        "Credit_Amount_EUR",
        "credit_amount_EUR",
        *("on_off=no", "on_off=other", "on_off=yes"),
        "_1st",
    )
    assert spec.target.classes == ("NO", "YES")
    assert list(event_fields(schema)) == ["event_id", "entity", "event_time", *field_names(HEADER)[:-1]]


def test_a_producer_in_a_typed_language_finds_its_types() -> None:
    """True and false are a boolean, whole numbers a long: neither text nor a double."""
    rows = [[("true", "false")[row % 2], str(row % 9), f"{row}.5", ("a", "b")[row % 2]] for row in range(40)]
    _, schema = parsed(infer_pipeline("typed", ["vip", "count", "price", "result"], rows, "result"))
    types = {name: field.kind for name, field in event_fields(schema).items()}
    assert (types["vip"], types["count"], types["price"]) == ("boolean", "integer", "float")


def test_named_columns_take_the_roles() -> None:
    """Columns that are named, or titled like a role, are that role and no feature; nothing is added for them."""
    spec, schema = parsed(
        infer_pipeline(
            "c", [*HEADER, "event id"], [[*row, f"x{at}"] for at, row in enumerate(ROWS)], "result", entity="note"
        )
    )
    assert (spec.entity, spec.event_id) == ("note", "event_id")
    assert [name for name in event_fields(schema) if name in ("entity", "event_id", "note")] == ["event_id", "note"]


def test_label_with_many_numbers_is_a_regression() -> None:
    """A price has no classes."""
    spec, _ = parsed(infer_pipeline("price", HEADER, ROWS, "Credit Amount (EUR)"))
    assert spec.target.kind == "value"


def test_missing_cells_make_a_field_nullable() -> None:
    """NA is no number, but among text it may be a region, and only an empty cell is no value."""
    table = [["1", "EU"], ["na", "NA"], [" NaN ", "EU"], ["2", "NA"]]
    rows = [[*cells, str(row % 2)] for row, cells in enumerate(table)]
    _, schema = parsed(infer_pipeline("regions", ["size", "region", "y"], rows, "y"))
    fields = event_fields(schema)
    assert (fields["size"].kind, fields["size"].nullable) == ("integer", True)
    assert (fields["region"].kind, fields["region"].nullable) == ("text", False)
    assert is_missing(" n/a ", "float")
    assert not is_missing("NA", "text")


@pytest.mark.parametrize("header", [["x_2", "x", "x!"], ["x", "x_2", "x?"], ["1", "_1", "-1-"], ["", " ", "é"]])
def test_fields_are_distinct_avro_names(header: list[str]) -> None:
    """Titles are for people, names for Avro: each column keeps a field of its own."""
    names = field_names(header)
    assert len(set(names)) == len(header)
    assert all(name.isidentifier() and name.isascii() for name in names)


@pytest.mark.parametrize(
    ("header", "rows", "label", "said"),
    [
        (["a", "a"], [["1", "x"]], "a", "same title"),
        (["a", "b"], [], "b", "no rows"),
        (["a", "b"], [["1"]], "b", "row 1 has 1 cells, but the first line names 2"),
        (["a", "b"], [["1", "x"]], "b", "'b' has 1 value in the table"),
        (["a", "b"], [[f"t{row}", str(row % 2)] for row in range(30)], "b", "no column gives a feature"),
    ],
)
def test_hopeless_table_is_refused(header: list[str], rows: list[list[str]], label: str, said: str) -> None:
    """The sentence says what the table lacks."""
    with pytest.raises(ContractError, match=said):
        infer_pipeline("t", header, rows, label)


@pytest.mark.parametrize(("title", "said"), [("pump", "pump"), ("event_id", None)])
def test_an_id_that_repeats_is_refused(title: str, said: str | None) -> None:
    """Whether it was named, or is titled like an id: what `new` says of a column is counted."""
    rows = [[f"p{row % 10}", f"{row}.5", "ab"[row % 2]] for row in range(80)]
    with pytest.raises(OperateError, match="10 values in 80 rows: labels could not be told apart") as caught:
        infer_pipeline("t", [title, "load", "y"], rows, "y", event_id=said)
    assert caught.value.meaning == "usage"


def test_a_column_of_three_values_is_a_category_whatever_it_is_called() -> None:
    """An entity has many values: `member` may hold a title, as gold, silver and none."""
    titles = ["member", "device", "load", "y"]
    rows = [[("gold", "silver", "none")[row % 3], f"d{row % 30}", f"{row}.5", "ab"[row % 2]] for row in range(80)]
    told = infer_pipeline("t", titles, rows, "y").told
    assert any(line.startswith("entity: device") for line in told), told


def test_what_new_says_of_an_entity_is_counted() -> None:
    """One that is new in every row keeps no order."""
    rows = [[f"p{row % 10}", f"{row}.5", f"s{row}", "ab"[row % 2]] for row in range(80)]
    titles = ["pump", "load", "serial", "y"]
    told = infer_pipeline("t", titles, rows, "y", entity="pump").told
    assert (
        "entity: pump as you said: column pump, 10 values in 80 rows: keyed by it, its events keep their order" in told
    )
    told = infer_pipeline("t", titles, rows, "y", entity="serial", event_id=None).told
    assert any(
        "serial, 80 values in 80 rows: each row has its own, so there is no order to keep" in line for line in told
    )


def test_a_time_that_cannot_date_events_is_told() -> None:
    """Too old for what ingestion takes, or blank somewhere: not that there is none."""
    now_ms = 1_767_225_600_000  # 2026
    dated = [[*row[:-1], f"2001-05-{row_at + 1:02d}", row[-1]] for row_at, row in enumerate(ROWS)]
    header = [*HEADER[:-1], "sold on", "result"]
    old = infer_pipeline("c", header, dated, "result", now_ms=now_ms)[0]
    assert "event_time: event_time  # column sold on lies more than ten years back, or ahead, so it is not taken" in old
    dated[3][-2] = ""
    blank = infer_pipeline("c", header, dated, "result", now_ms=now_ms)[0]
    assert "event_time: event_time  # column sold on has blank cells, so it is not taken" in blank
    assert "event_time: event_time  # no column of the table is one" in infer_pipeline("c", HEADER, ROWS, "result")[0]


def test_without_any_feature_every_column_has_its_reason() -> None:
    """Who is refused a pipeline is told of each column what it was taken for."""
    rows = [
        [f"r-{n}", f"2026-05-01T12:{n:02d}:00Z", f"c{n % 25}", f"some text {n}", "same", "", str(n), "ab"[n % 2]]
        for n in range(60)
    ]
    with pytest.raises(ContractError, match="no column gives a feature") as caught:
        infer_pipeline("t", ["id", "at", "customer", "note", "unit", "spare", "line_no", "y"], rows, "y")
    assert str(caught.value).splitlines()[1:-1] == [
        "  y is left out: it is the label",
        "  id is left out: it is the event's id",
        "  customer is left out: it is what an event is about",
        "  at is left out: it is the event's time",
        "  note is left out: text with more than 20 values is no category",
        "  unit is left out: it has the same value everywhere",
        "  spare is left out: it is empty",
        "  line_no is left out: it names or counts rows, and a model would learn them by heart",
    ]


def test_rows_are_counted_as_the_file_has_them() -> None:
    """A row that stands in it twice is one event's, so that ids stay unique, but the file has that row twice."""
    rows = [[f"e{n}", f"c{n % 40}", f"{n}.5", "" if n % 4 == 1 else "ab"[n % 2]] for n in range(100)]
    told = infer_pipeline("t", ["id", "customer", "size", "y"], [*rows, rows[1], rows[2]], "y", entity="customer").told
    assert any(line.startswith("entity: ") and "40 values in 102 rows" in line for line in told)
    assert any(line.startswith("id: id guessed") for line in told)
    assert any("26 blank" in line for line in told)


@pytest.mark.parametrize("name", ["", "a/b\nc", "x" * 300])
def test_what_cannot_name_a_pipeline_names_no_template(name: str) -> None:
    """It was told as a fault of a pipeline.yaml that nobody has written."""
    with pytest.raises(ContractError, match="cannot name a pipeline"):
        template(name)


def test_a_table_that_is_too_wide_is_refused_at_once() -> None:
    """It took minutes, and ended with the length of a file that was not there yet."""
    header = [f"c{at}" for at in range(MOST_COLUMNS + 1)]
    with pytest.raises(ContractError, match="has 5,001 columns, and a pipeline is made of 5,000 at most"):
        infer_pipeline("wide", header, [["1"] * len(header)], "c0")
