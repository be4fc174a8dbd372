"""Texts that mean no value, such as k.A.: they are named where they spoil a column, and `--na` tells every command."""

import json
from pathlib import Path

import pytest

from freshet.avro.columns import Nullable
from freshet.operate.tables.odd_texts import odd_texts
from freshet.operate.tables.sample import read_sample
from freshet.operate.tables.table_events import CsvEvents
from freshet.pipeline import load_checked

from .test_pipeline_commands import freshet

PRICES = ["k.A." if n % 40 == 7 else f"{n},5" for n in range(200)]
TABLE = "Preis;Ort;gut\n" + "".join(
    f"{p};{('A', 'NA', '', 'B')[n % 4]};{['ja', 'nein'][n % 2]}\n" for n, p in enumerate(PRICES)
)


def test_a_column_of_numbers_with_a_text_for_no_value_is_told(tmp_path: Path) -> None:
    """It is neither free text nor an entity; as the label it is no id."""
    table = tmp_path / "t.csv"
    table.write_text(TABLE, encoding="utf-8")
    found = freshet("pipeline", "new", "t", "--csv", str(table), "--label", "gut", "--dir", str(tmp_path / "t"))
    said = "97 % of its cells are numbers, the others hold 'k.A.' (5 times): if that means no value, --na 'k.A.'"
    assert f"Preis is left out: {said}" in found.stderr
    assert "entity: entity no column" in found.stderr
    assert "Ort: in a column of text, 'NA' counts as a value; if it means no value, --na 'NA'" in found.stderr
    found = freshet("pipeline", "new", "p", "--csv", str(table), "--label", "Preis", "--dir", str(tmp_path / "p"))
    assert found.exit_code == 1
    assert f"too many classes: {said}" in found.stderr


def test_what_na_names_has_no_value_for_any_command(tmp_path: Path) -> None:
    """event.avsc keeps the texts: features, the sample and later events have no value there, in text columns too."""
    table, out = tmp_path / "t.csv", tmp_path / "f.csv"
    table.write_text(TABLE, encoding="utf-8")
    folder = str(tmp_path / "t")
    new = ("pipeline", "new", "t", "--csv", str(table), "--label", "gut", "--dir", folder)
    assert freshet(*new, "--na", "k.A.", "--na", "NA").exit_code == 0
    spec, _, schema = load_checked(tmp_path / "t")
    assert schema["table_dialect"]["na"] == ["NA", "k.A."]
    assert spec.feature_names == ("Preis", "Ort=A", "Ort=B", "Ort=other")
    (events,) = CsvEvents(table, spec, schema, label="gut")
    assert len(events) == len(PRICES)
    prices = events.columns["Preis"]
    assert isinstance(prices, Nullable)
    assert int((~prices.valid).sum()) == PRICES.count("k.A.")
    assert freshet("pipeline", "features", folder, "--csv", str(table), "-o", str(out)).exit_code == 0
    assert [row.split(",")[0] == "" for row in out.read_text().splitlines()[1:]] == [p == "k.A." for p in PRICES]
    sample = read_sample(table, spec, schema, spec.feature_names, label_column=None)
    assert not sample.rows[1, 1:].any()
    written = json.loads((tmp_path / "t" / "event.avsc").read_text())
    written["table_dialect"]["na"] = "NA"
    (tmp_path / "t" / "event.avsc").write_text(json.dumps(written))
    refused = freshet("pipeline", "features", folder, "--csv", str(table), "-o", str(out))
    assert "na, a list of texts that mean no value" in refused.stderr


@pytest.mark.parametrize(
    ("cells", "odd"),
    [
        (["1", "2.5", "3", "4", "5", "missing"], "--na 'missing'"),
        (["1.200,5", "2", "3", "4", "5", "6", "7", "8", "n. v.", "-"], "--na 'n. v.'"),
        (["01067", "10115", "80331", "20095", "50667", "?", "unknown"], ""),
        (["1", "2", "a", "b", "c"], ""),
        (["1", "2", "3"], ""),
    ],
)
def test_odd_texts_are_few_among_numbers(cells: list[str], odd: str) -> None:
    """Codes with leading zeros are names, and where many cells are text, it is a column of text."""
    assert odd_texts(cells).endswith(odd)
    assert bool(odd_texts(cells)) == bool(odd)
