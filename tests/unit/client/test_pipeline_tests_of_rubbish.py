"""`freshet test pipeline` with bad test files, impossible events, tests of one name, and models of other pipelines."""

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from pyarrow import parquet
from typer.testing import CliRunner, Result

from freshet.avro.control import encode
from freshet.cli.main import app
from freshet.contracts.shipped import pipelines_dir
from freshet.lab.demo import loans
from freshet.lab.demo.training import train_and_pack
from freshet.operate.export.log_table import LogTable
from freshet.operate.tables.features import feature_rows
from freshet.pipeline import load_checked
from support.outcomes import record_of, rows_of
from support.rows import batch, row

EVENT = {"applicant": "ada", "salary": 1000.0, "commission": 0.0, "age": 40, "elevel": 1, "car": 1, "zipcode": 0}
EVENT |= {"hvalue": 0.0, "hyears": 1, "loan": 500.0}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped pipeline without its tests."""
    made = Path(shutil.copytree(pipelines_dir() / "loans", tmp_path / "loans"))
    shutil.rmtree(made / "tests", ignore_errors=True)
    (made / "tests").mkdir()
    return made


def run(folder: Path, text: str) -> Result:
    """The command over one file of this text."""
    (folder / "tests/events.yaml").write_text(text)
    return CliRunner().invoke(app, ["test", "pipeline", str(folder), "--json"])


@pytest.mark.parametrize(
    "text",
    [
        "events: [{name: x, event: {applicant: ada}, arrived_at: 2026-02-30T12:00:00Z, features: {}}]",
        "events: [{name: x, event: {at: 2026-02-30}, features: {}}]",
        "- just a list",
        "events: 7",
        "events: [{name: x, event: {{}: 1}}]",
    ],
)
def test_a_file_that_is_no_test_file_exits_with_2_and_names_the_file(folder: Path, text: str) -> None:
    """A date that does not exist, and files of another shape."""
    done = run(folder, text)
    assert (done.exit_code, type(done.exception)) == (2, SystemExit), repr(done.exception)
    assert "events.yaml" in done.output


def test_two_failing_tests_of_one_name_count_as_two(folder: Path) -> None:
    """Counted by name, one of them had passed."""
    case = {"name": "same", "event": EVENT, "features": {"age": 7}}
    done = run(folder, yaml.safe_dump({"events": [case, case]}))
    told = json.loads(done.stdout)
    assert (told["passed"], told["failed"]) == (0, 2)


VALUES: list[Any] = [[1, 2], {"a": 1}, 10**400, "text", True, float("nan"), float("inf")]


@pytest.mark.parametrize("value", VALUES, ids=str)
def test_a_value_that_a_field_cannot_have_fails_the_test(folder: Path, value: Any) -> None:
    """It is the test's failure, and not the command's."""
    case = {"name": "x", "event": {**EVENT, "age": value}, "features": {"age": 7}}
    done = run(folder, yaml.safe_dump({"events": [case]}))
    assert (done.exit_code, type(done.exception)) == (1, SystemExit), repr(done.exception)


TIMES = ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "never"]


@pytest.mark.parametrize("at", TIMES)
def test_the_earliest_and_latest_times_are_judged(folder: Path, at: str) -> None:
    """The test passes or fails; the command does not end with a traceback."""
    case = {"name": "x", "event": {**EVENT, "at": at}, "features": {"age": 40}}
    done = run(folder, yaml.safe_dump({"events": [case]}))
    assert done.exit_code in {0, 1}
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)


@pytest.mark.parametrize(("key", "name"), [("inputs", "height"), ("classes", "tall")])
def test_a_model_of_another_pipeline_fails_its_own_test_only(folder: Path, key: str, name: str) -> None:
    """It reads a feature, or answers a class, that this pipeline does not have; the other tests run."""
    spec, _, schema = load_checked(folder)
    values, truths = feature_rows(spec, schema, loans.sample(schema, 60, seed=3))
    train_and_pack("linear", values, truths, spec).bundle.save(folder / "bundle")
    record = record_of(rows_of(60, values=values)).model_copy(update={"pipeline": spec.pipeline})
    table, _ = LogTable(spec).rows(batch([row(0, 0, encode(record))]))
    parquet.write_table(pa.Table.from_batches([table]), folder / "log.parquet")
    manifest = folder / "bundle/manifest.json"
    changed = json.loads(manifest.read_text())
    changed[key][0] = name
    manifest.write_text(json.dumps(changed))
    model = {"name": "x", "bundle": "../bundle", "rows": "../log.parquet", "at_least": {"accuracy": 0}}
    event = {"name": "y", "event": EVENT, "features": {"age": 40}}
    done = run(folder, yaml.safe_dump({"events": [event], "models": [model]}))
    assert (done.exit_code, type(done.exception)) == (1, SystemExit), repr(done.exception)
    told = json.loads(done.stdout)
    assert (told["passed"], told["failed"]) == (1, 1)
    assert name in told["failures"][0]["what"]
