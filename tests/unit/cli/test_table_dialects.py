"""Tables after the first, and the ways of writing that have misled others: locale, local times, large numbers."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from freshet.contracts.errors import ContractError
from freshet.operate.tables.table import Dialect
from freshet.operate.tables.table_events import CsvEvents
from freshet.pipeline import load_checked

from .test_pipeline_commands import freshet
from .test_tables import ROWS, made

GERMAN = "Nr;Preis;Ort;Güte\n" + "".join(f"V{n};{n}.200,5;Köln;{('gut', 'mäßig')[n % 2]}\n" for n in range(ROWS))


@pytest.mark.parametrize(
    ("text", "prices"),
    [
        ("Nr;Preis;Ort;Güte\nV1;1.200;Köln;gut\nV2;7;Köln;gut\n", [1200.0, 7.0]),
        ("Nr|Preis|Ort|Güte\nV1|1.200,25|Köln|gut\n", [1200.25]),
    ],
)
def test_a_later_table_is_read_as_the_first_was_understood(tmp_path: Path, text: str, prices: list[float]) -> None:
    """1.200 alone would be a number a little above one; `new` has written what it saw into event.avsc."""
    made(tmp_path, GERMAN.encode("cp1252"), "Güte")
    spec, _, schema = load_checked(tmp_path / "t")
    assert schema["table_dialect"] == {"delimiter": ";", "encoding": "cp1252", "decimal": ","}
    second = tmp_path / "second.csv"
    second.write_text(text, encoding="utf-8")
    (events,) = CsvEvents(second, spec, schema)
    assert np.asarray(events.columns["Preis"]).tolist() == prices


def test_a_later_table_that_contradicts_is_refused_unless_it_is_told(tmp_path: Path) -> None:
    """12.5 has no decimal comma and no thousands: it is not guessed, and --decimal decides."""
    made(tmp_path, GERMAN, "Güte")
    spec, _, schema = load_checked(tmp_path / "t")
    second = tmp_path / "second.csv"
    second.write_text("Nr;Preis;Ort;Güte\nV1;12.5;Köln;gut\n", encoding="utf-8")
    with pytest.raises(ContractError, match=r"numbers such as '12.5', but .* decimal commas .*--decimal \."):
        CsvEvents(second, spec, schema)
    (events,) = CsvEvents(second, spec, schema, dialect=Dialect(decimal="."))
    assert np.asarray(events.columns["Preis"]).tolist() == [12.5]
    with pytest.raises(ContractError, match="may hold delimiter, encoding and decimal"):
        CsvEvents(second, spec, {**schema, "table_dialect": {"sign": ","}})


def test_local_microseconds_are_times_of_day(tmp_path: Path) -> None:
    """Avro's newer time types count by their unit: 18:00 is three quarters of a day, 12:00 half of one."""
    folder, table, out = tmp_path / "t", tmp_path / "t.csv", tmp_path / "f.csv"
    table.write_text(
        "entity,amount,country,at\n" + "".join(f"a,1,DE,{ms}000\n" for ms in (1777658400000, 1777636800000))
    )
    assert freshet("pipeline", "new", "t", "--dir", folder).exit_code == 0
    avro, spec = folder / "event.avsc", folder / "pipeline.yaml"
    declared = json.loads(avro.read_text())
    declared["fields"].append({"name": "at", "type": {"type": "long", "logicalType": "local-timestamp-micros"}})
    avro.write_text(json.dumps(declared))
    spec.write_text(spec.read_text().replace("of: event_time,", "of: at,"))
    done = freshet("pipeline", "features", folder, "--csv", table, "-o", out)
    assert done.exit_code == 0, done.stderr
    columns = zip(*csv.reader(out.read_text().splitlines()), strict=True)
    day = {name: [float(cell) for cell in cells] for name, *cells in columns if name.startswith("at_day")}
    assert day == {"at_day_sin": pytest.approx([-1, 0], abs=1e-6), "at_day_cos": pytest.approx([0, -1], abs=1e-6)}


def test_whole_numbers_that_float32_rounds_are_said(tmp_path: Path) -> None:
    """By `new` and by whoever reads a table: 16,777,217 and its neighbour are one number to a model."""
    _, events, _, said = made(tmp_path, "cents,y\n16777217,a\n20000001,b\n5,a\n", "y")
    assert "cents: whole numbers above 16,777,216 are rounded" in said
    assert events.survey.rounded == {"cents": 2}


def test_files_are_utf8_whatever_the_locale(tmp_path: Path) -> None:
    """In a C locale without UTF-8, umlauts are written and read as they are."""
    table, text = tmp_path / "uml.csv", "temp,stadt,rain\n1,München,yes\n2,Köln,no\n"
    table.write_text(text, encoding="utf-8")
    plain = {**os.environ, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C", "PYTHONIOENCODING": "utf-8"}
    run = [sys.executable, "-m", "freshet.cli", "pipeline"]
    common = ("--csv", table, "--label", "rain")
    for command in (("new", "uml", *common), ("features", "uml", *common, "-o", "f.csv")):
        done = subprocess.run([*run, *map(str, command)], cwd=tmp_path, env=plain, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
    assert "stadt=München" in (tmp_path / "f.csv").read_text(encoding="utf-8")
