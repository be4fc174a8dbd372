"""Tables as people have them, through `pipeline new`, `check`, `features` and onto a bus: one answer everywhere."""

import csv
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from freshet.contracts.errors import ContractError
from freshet.contracts.topic_table import TopicNames
from freshet.lab.load import Load
from freshet.operate.tables.events import after
from freshet.operate.tables.table import Dialect, Table
from freshet.operate.tables.table_events import CsvEvents
from freshet.pipeline import PipelineSpec, load_checked
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.clock import SystemClock

from .test_pipeline_commands import freshet

ROWS = 60


def made(tmp_path: Path, text: str | bytes, label: str) -> tuple[PipelineSpec, CsvEvents, list[list[str]], str]:
    """The table through `new`, `check` and `features`: its pipeline, its events, the features file, what `new` said."""
    table, folder, out = tmp_path / "t.csv", tmp_path / "t", tmp_path / "f.csv"
    table.write_bytes(text if isinstance(text, bytes) else text.encode())
    new = freshet("pipeline", "new", "t", "--csv", table, "--label", label, "--dir", folder)
    assert new.exit_code == 0, new.stderr
    assert freshet("pipeline", "check", folder).exit_code == 0
    done = freshet("pipeline", "features", folder, "--csv", table, "--label", label, "-o", out)
    assert done.exit_code == 0, done.stderr
    spec, _, schema = load_checked(folder)
    return spec, CsvEvents(table, spec, schema, label=label), list(csv.reader(out.read_text().splitlines())), new.stderr


def test_titles_semicolons_and_umlauts(tmp_path: Path) -> None:
    """A German table in latin-1, with decimal commas: names are spelt out, numbers are read, the time is found."""
    rows = "".join(
        f"T-{n};{1 + n % 28:02d}.03.2025 09:{n % 60:02d};{n % 7},5;E-Mail;{('Kündigung', 'Lob')[n % 2]}\r\n"
        for n in range(ROWS)
    )
    text = ("Ticket ID;Erstellt am;Größe (kB);Kanal;Klasse\r\n" + rows + "\r\n").encode("cp1252")
    spec, events, features, said = made(tmp_path, text, "Klasse")
    assert (spec.event_id, spec.event_time, spec.feature_names) == ("Ticket_ID", "Erstellt_am", ("Groesse_kB",))
    assert spec.target.classes == ("Kündigung", "Lob")
    assert (len(features), features[2]) == (ROWS + 1, ["1.5", "Lob"])
    assert events.survey.rows == ROWS
    assert "%d.%m.%Y" in said


@pytest.mark.parametrize(
    ("text", "label", "rows"),
    [
        (
            "age,job,pay\n49, Private,high\n44, State,high\n38, Private,low\n",
            "pay",
            ["49.0,1.0,0.0,0.0", "44.0,0.0,1.0,0.0"],
        ),
        ("temp,wind,rain\n20.5,3,yes\nNA,4,no\n", "rain", ["20.5,3.0", ",4.0"]),
        ("temp (C),wind speed,rain\n20.5,3,yes\n21.0,1,no\n\n", "rain", ["20.5,3.0", "21.0,1.0"]),
    ],
    ids=["space after comma", "NA", "titles with spaces, blank last line"],
)
def test_features_read_cells_as_new_did(tmp_path: Path, text: str, label: str, rows: list[str]) -> None:
    """What `new` calls a category, a number or missing is that when features are computed."""
    _, events, features, _ = made(tmp_path, text, label)
    assert [",".join(row[:-1]) for row in features[1:]][: len(rows)] == rows
    assert events.survey.left_out == 0


def test_blank_labels_go_without_feedback_and_a_second_try_repeats_nothing(tmp_path: Path) -> None:
    """Every event is published, a label only where there is one; what is skipped is exactly what was sent before."""
    body = "".join(f"{1000 + n},{n % 9},{('yes', 'no', '')[n % 3]}\n" for n in range(2500))
    spec, source, features, _ = made(tmp_path, "order_no,items,returned\n" + body + "\n", "returned")
    assert (spec.event_id, spec.feature_names) == ("order_no", ("items",))
    assert sum(1 for row in features[1:] if not row[-1]) == source.survey.unlabelled == 833
    ids = [text for part in source for text in map(str, _plain(part.columns["order_no"]))]
    left = [text for part in after(source, 1700) for text in map(str, _plain(part.columns["order_no"]))]
    assert left == ids[1700:]
    names, cluster = TopicNames(pipeline="t"), MemoryCluster(0)
    cluster.ensure(names, 1, ["events", "feedback"])
    bus = MemoryBus(cluster, names)
    schema = load_checked(tmp_path / "t")[2]
    load = Load(bus.producer(), spec, schema, 1, SystemClock(), labels_after=10)
    *_, sent = load.publish(source)
    assert (sent.events, sent.labels) == (2500, 1667)


def test_ids_and_times_are_no_features(tmp_path: Path) -> None:
    """Epoch seconds are read as such, the sensor keeps the order, and neither these nor a row number is learnt."""
    body = "".join(f"{n},S{n % 5},{1731000000 + 60 * n},{n % 11}.25,{n * 37 % 101}.5\n" for n in range(ROWS))
    spec, events, _, _ = made(tmp_path, "id,sensor_id,ts,temp,left\n" + body, "left")
    assert (spec.event_id, spec.entity, spec.event_time) == ("id", "sensor_id", "ts")
    assert (spec.feature_names, spec.target.kind) == (("temp",), "value")
    (some,) = events
    assert _plain(some.columns["ts"])[:2] == [1731000000000, 1731000060000]


def test_a_late_surprise_is_seen_before_anything_is_made(tmp_path: Path) -> None:
    """A word among 15,000 numbers leaves its row out, by name; a blank makes the field nullable."""
    body = "".join(f"{n % 7}.5,{n % 2}\n" for n in range(15_000))
    _, _, features, _ = made(tmp_path, "a,y\n" + body + ",1\n", "y")
    assert len(features) == 15_002
    late = tmp_path / "late.csv"
    late.write_text("a,y\n" + body + "oops,1\n")
    spec, _, schema = load_checked(tmp_path / "t")
    found = CsvEvents(late, spec, schema, label="y").survey
    assert (found.rows, found.left_out) == (15_000, 1)
    assert found.named[0].endswith("late.csv:15002: column 'a' holds 'oops', which is not a number.")


def test_ambiguous_dates_are_refused_by_new(tmp_path: Path) -> None:
    """01/02/2024 may be January or February: nobody guesses, and `new` says so, not `replay`."""
    table = tmp_path / "t.csv"
    table.write_text("when,a,y\n" + "".join(f"0{1 + n % 9}/0{1 + n % 5}/2024,{n},{n % 2}\n" for n in range(ROWS)))
    ended = freshet(
        "pipeline", "new", "t", "--csv", table, "--label", "y", "--event-time", "when", "--dir", tmp_path / "t"
    )
    assert ended.exit_code == 1
    assert "cannot be the event's time" in ended.stderr


@pytest.mark.parametrize("form", ["%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M"])
def test_a_way_of_writing_times_is_said_once(tmp_path: Path, form: str) -> None:
    """What no row decides `--time-format` does; event.avsc keeps it, and events are read by it ever after."""
    path, folder = tmp_path / "t.csv", tmp_path / "t"
    path.write_text("when,a,y\n" + "".join(f"0{1 + n % 3}/04/2026 09:30,{n % 7}.5,{n % 2}\n" for n in range(ROWS)))
    new = ("pipeline", "new", "t", "--csv", path, "--label", "y", "--dir", folder)
    refused = freshet(*new)
    assert refused.exit_code == 1
    assert "--time-format '%d/%m/%Y %H:%M' or --time-format '%m/%d/%Y %H:%M'" in refused.stderr
    assert (
        "'when' holds '01/04/2026 09:30'" in freshet(*new, "--event-time", "when", "--time-format", "%d.%m.%y").stderr
    )
    odd = freshet(*new, "--time-format", "%d.%m.%y").stderr
    assert "no column holds nothing but times" in odd
    assert "column 'when' holds '01/04/2026 09:30'" in odd
    assert "'%d' is no way of writing times" in freshet(*new, "--time-format", "%d").stderr
    done = freshet(*new, "--time-format", form)
    assert done.exit_code == 0, done.stderr
    spec, _, schema = load_checked(folder)
    assert spec.event_time == "when"
    (events,) = CsvEvents(path, spec, schema)
    wanted = datetime.strptime("01/04/2026 09:30", form).replace(tzinfo=UTC)
    assert _plain(events.columns["when"])[0] == wanted.timestamp() * 1000


def test_check_finds_all_errors_at_once(tmp_path: Path) -> None:
    """A key that nobody knows hides neither a wrong field nor a wrong policy."""
    folder = tmp_path / "bad"
    assert freshet("pipeline", "new", "bad", "--dir", folder).exit_code == 0
    path = folder / "pipeline.yaml"
    text = path.read_text().replace("event_id: event_id", "event_id: nosuch").replace("immediate\n", "sometimes\n")
    path.write_text(
        text.replace("{kind: field, of: amount}", "{kind: feild, of: amount}").replace("of: country", "of: contry")
    )
    found = freshet("pipeline", "check", folder).stdout
    assert all(word in found for word in ("nosuch", "sometimes", "feild", "contry"))
    assert all(line.startswith(f"{path}:") for line in found.splitlines())


def test_the_way_a_table_is_written_is_found_or_given(tmp_path: Path) -> None:
    """English thousands are numbers, JSON lines are a table like others, and what is given overrules the look."""
    path = tmp_path / "t.csv"
    path.write_text('a,b\n"1,234",x\n"22,000",y\n')
    assert [line.cells for line in Table(path)] == [["1234", "x"], ["22000", "y"]]
    assert next(line.cells for line in Table(path, Dialect(decimal=","))) == ["1.234", "x"]
    path = tmp_path / "t.jsonl"
    path.write_text('{"a": 1.5, "b": null}\n\n{"b": true, "c": " x "}\n')
    assert Table(path).titles == ["a", "b", "c"]
    assert [line.cells for line in Table(path)] == [["1.5", "", ""], ["", "true", "x"]]


DAYS = "n,when,y\n" + "".join(f"{n % 7}.5,{1 + n % 28:02d}/03/2025,{n % 2}\n" for n in range(ROWS))


@pytest.mark.parametrize("cell", ["03/25/2025", "2025-03-25", "1742860800000"])
def test_a_file_that_writes_times_otherwise_is_refused_with_its_line(tmp_path: Path, cell: str) -> None:
    """`new` wrote day before month into event.avsc: no later file turns them round, and a short one needs no guess."""
    spec, _, _, _ = made(tmp_path, DAYS, "y")
    _, _, schema = load_checked(tmp_path / "t")
    second = tmp_path / "second.csv"
    second.write_text(f"n,when,y\n1,02/03/2025,0\n2,{cell},1\n")
    if cell.isdigit():
        found = CsvEvents(second, spec, schema)
        assert found.survey.left_out == 1
        return
    with pytest.raises(ContractError, match=r"second.csv:3: column 'when' holds .* the pipeline's tables write %d/%m"):
        CsvEvents(second, spec, schema)
    second.write_text("n,when,y\n1,02/03/2025,0\n2,garbage,1\n")
    found = CsvEvents(second, spec, schema)
    assert found.survey.left_out == 1
    (events,) = found
    assert _plain(events.columns["when"]) == [1_740_873_600_000]


def test_seconds_stay_seconds(tmp_path: Path) -> None:
    """A second file in milliseconds would be events of the year 57,000."""
    text = "n,ts,y\n" + "".join(f"{n % 7}.5,{1_760_000_000 + n},{n % 2}\n" for n in range(ROWS))
    spec, _, _, _ = made(tmp_path, text, "y")
    _, _, schema = load_checked(tmp_path / "t")
    second = tmp_path / "second.csv"
    second.write_text("n,ts,y\n1,1760000000123,0\n")
    with pytest.raises(ContractError, match=r"second.csv:2: .* written in milliseconds, but .* write seconds"):
        CsvEvents(second, spec, schema)


def test_parquet_is_read_as_the_same_table_in_csv(tmp_path: Path) -> None:
    """Numbers, truths, times, texts and missing values: the same pipeline, the same features."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    at = [datetime(2026, 5, 1, 12, n % 60, tzinfo=UTC) for n in range(ROWS)]
    table = arrow.table(
        {
            "Größe (kB)": [None if n == 7 else n / 4 for n in range(ROWS)],
            "count": arrow.array([n % 5 for n in range(ROWS)], arrow.int32()),
            "on": [n % 3 == 0 for n in range(ROWS)],
            "when": arrow.array(at, arrow.timestamp("ns", tz="UTC")),
            "kind": arrow.array([" a ", "b"] * (ROWS // 2)).dictionary_encode(),
            "price": arrow.array([Decimal("1.10")] * ROWS),
            "y": ["yes", "no"] * (ROWS // 2),
        }
    )
    rows = [
        f"{'' if n == 7 else n / 4},{n % 5},{str(n % 3 == 0).lower()},{at[n].isoformat()},{'ab'[n % 2]},1.10,"
        f"{('yes', 'no')[n % 2]}"
        for n in range(ROWS)
    ]
    spec, source, features, _ = made(tmp_path, "\n".join([",".join(table.column_names), *rows]), "y")
    file, out = tmp_path / "t.parquet", tmp_path / "p.csv"
    parquet.write_table(table, file)
    new = freshet("pipeline", "new", "t", "--csv", file, "--label", "y", "--dir", tmp_path / "p")
    assert new.exit_code == 0, new.stderr
    for name in ("pipeline.yaml", "event.avsc"):
        assert (tmp_path / "p" / name).read_text() == (tmp_path / "t" / name).read_text()
    done = freshet("pipeline", "features", tmp_path / "p", "--csv", file, "--label", "y", "-o", out)
    assert done.exit_code == 0, done.stderr
    assert list(csv.reader(out.read_text().splitlines())) == features
    _, _, schema = load_checked(tmp_path / "t")
    assert CsvEvents(file, spec, schema, label="y").survey == source.survey


def test_parquet_without_its_extra_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence, with the command."""
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(ContractError, match=r"pip install 'freshet\[tables\]'"):
        Table(tmp_path / "t.parquet")


def test_parquet_that_is_none_is_an_error_of_ours(tmp_path: Path) -> None:
    """Not a traceback of the library; and a column of lists is no cell."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    (tmp_path / "t.parquet").write_bytes(b"nonsense")
    with pytest.raises(ContractError, match="cannot be read as Parquet"):
        Table(tmp_path / "t.parquet")
    parquet.write_table(arrow.table({"a": [[1], [2]]}), tmp_path / "t.parquet")
    with pytest.raises(ContractError, match="column 'a' holds list"):
        Table(tmp_path / "t.parquet")


def test_a_title_that_is_a_name_keeps_it(tmp_path: Path) -> None:
    """`a b` beside `a_b`: neither column is read in place of the other."""
    text = "a b,a_b,y\n" + "".join(f"{n % 7}.5,{'uvw'[n % 3]},{n % 2}\n" for n in range(ROWS))
    _, source, features, _ = made(tmp_path, text, "y")
    assert source.survey.left_out == 0
    assert features[0][:2] == ["a_b_2", "a_b=u"]
    assert features[1][:2] == ["0.5", "1.0"]


def test_amounts_are_no_ids_and_unknown_labels_no_classes(tmp_path: Path) -> None:
    """Prices with thousands and percentages name nothing; NA and ? are labels that nobody knows; codes may be ids."""
    rows = "".join(
        f'"$1,{n:03d}.50",{n % 9}%,0{n:04d},{n % 5}.5,{("yes", "No", "NA", "?", "no")[n % 5]}\n' for n in range(ROWS)
    )
    _, source, _, said = made(tmp_path, "price,share,code,x,y\n" + rows, "y")
    assert "id: code guessed" in said
    assert "price is left out: '$1,000.50' and the like are no plain numbers" in said
    assert "entity: entity" in said
    assert f"y (3 classes, {ROWS * 2 // 5} blank or ?, NA, of which some differ in upper and lower case only" in said
    assert source.survey.unlabelled == ROWS * 2 // 5


def test_a_trait_of_an_entity_is_a_feature(tmp_path: Path) -> None:
    """A customer's tier is a category, not whom the event is about."""
    rows = "".join(f"{n % 7}.5,{('gold', 'silver', 'none')[n % 3]},{n % 2}\n" for n in range(ROWS))
    spec, _, _, _ = made(tmp_path, "x,customer_tier,y\n" + rows, "y")
    assert (spec.entity, len(spec.feature_names)) == ("entity", 5)


def test_objects_in_json_lines_are_columns(tmp_path: Path) -> None:
    """Numbers inside an object are numbers, under its name and theirs; what is not there is blank."""
    path = tmp_path / "t.jsonl"
    path.write_text('{"geo": {"lat": 1.5, "at": {"z": true}}, "b": 2}\n{"b": 3}\n')
    assert Table(path).titles == ["geo.lat", "geo.at.z", "b"]
    assert [line.cells for line in Table(path)] == [["1.5", "true", "2"], ["", "", "3"]]


def _plain(column: object) -> list[object]:
    return list(column.tolist())  # type: ignore[attr-defined]


def test_a_feature_without_a_column_is_told(tmp_path: Path) -> None:
    """A renamed title makes a nullable field null everywhere; the column that it may be is named."""
    body = "".join(f"{'' if n == 3 else n % 7}.5,{n % 2}\n" for n in range(ROWS)).replace("\n.5,", "\n,")
    made(tmp_path, "load,y\n" + body, "y")
    renamed = tmp_path / "renamed.csv"
    renamed.write_text("Loads,y\n" + body)
    done = freshet("pipeline", "features", tmp_path / "t", "--csv", renamed, "--label", "y", "-o", tmp_path / "f.csv")
    assert done.exit_code == 0, done.stderr
    said = " ".join(done.stderr.split())
    assert f"field load has no column here: it will be null in all {ROWS} events. Is it 'Loads'," in said
    spec, _, schema = load_checked(tmp_path / "t")
    assert CsvEvents(tmp_path / "t.csv", spec, schema).absent == []


@pytest.mark.parametrize("option", ["--label", "--entity", "--event-id", "--event-time"])
def test_a_column_that_is_not_there_is_wrong_usage(tmp_path: Path, option: str) -> None:
    """In `new` as in `features`: exit code 2, and the title that was meant."""
    table = tmp_path / "t.csv"
    table.write_text("Load Total,y\n" + "".join(f"{n % 7}.5,{n % 2}\n" for n in range(ROWS)))
    new = ("pipeline", "new", "t", "--csv", table, "--dir", tmp_path / "t")
    wrong = freshet(*new, *([] if option == "--label" else ["--label", "y"]), option, "load_total")
    assert (wrong.exit_code, "no column 'load_total'. Did you mean 'Load Total'?" in wrong.stderr) == (2, True)
    assert freshet(*new, "--label", "y").exit_code == 0
    features = ("pipeline", "features", tmp_path / "t", "--csv", table, "-o", tmp_path / "f.csv")
    wrong = freshet(*features, "--label", "load totals")
    assert (wrong.exit_code, "Did you mean 'Load Total'?" in wrong.stderr) == (2, True)
    table.write_text("y\n1\n")
    assert freshet(*features).exit_code == 2
