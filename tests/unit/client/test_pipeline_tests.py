"""`freshet test pipeline`: a user's own tests pass where they should, and where they fail they say what and why."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml
from pyarrow import parquet
from typer.testing import CliRunner, Result

from freshet.avro.control import encode
from freshet.cli.main import app
from freshet.client.pipeline_tests.case_files import Cases
from freshet.client.pipeline_tests.model_cases import recorded_rows
from freshet.contracts.shipped import pipelines_dir
from freshet.lab.demo import loans
from freshet.lab.demo.training import train_and_pack
from freshet.models.scorer import Scorer
from freshet.operate.export.log_table import LogTable
from freshet.operate.tables.features import feature_rows
from freshet.outcomes.outcome_rows import FIRST, KNOWN_BEFORE
from freshet.pipeline import load_checked
from support.outcomes import record_of, rows_of
from support.rows import batch, row

EVENT = {
    "applicant": "ada",
    "salary": 1000.0,
    "commission": 0.0,
    "age": 40,
    "elevel": 1,
    "car": 1,
    "zipcode": 0,
    "hvalue": 0.0,
    "hyears": 1,
    "loan": 500.0,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped pipeline."""
    return Path(shutil.copytree(pipelines_dir() / "loans", tmp_path / "loans"))


def run(folder: Path, *options: str, **cases: Any) -> Result:
    """The command, after these cases were written."""
    (folder / "tests").mkdir(exist_ok=True)
    if cases:
        (folder / "tests/events.yaml").write_text(yaml.safe_dump(cases))
    return CliRunner().invoke(app, ["test", "pipeline", str(folder), *options])


def one(name: str, **case: Any) -> dict[str, Any]:
    """A case about the sample event, unless it says otherwise."""
    return {"name": name, **({} if "value" in case else {"event": EVENT}), **case}


def test_what_becomes_of_events_is_what_ingestion_makes_of_them(folder: Path) -> None:
    """Features, dead letters of a rule, of the clock and of bytes: all as expected."""
    events = [
        one("ordinary", features={"salary": 1000, "loan_per_salary": 0.5, "elevel=1": 1}),
        one("too young", event={**EVENT, "age": 7}, dead_letter="input_range", because="age"),
        one(
            "rotten",
            event={**EVENT, "at": "2020-01-01T00:00:00Z"},
            arrived_at="2020-03-01T00:00:00Z",
            dead_letter="input_event_time",
        ),
        one("old, in its time", event={**EVENT, "at": "2020-01-01T00:00:00Z"}, features={"age": 40}),
        one("a log line", value="ERROR 42", dead_letter="input_framing"),
        one("a stranger's frame", value="\0\0\0\0\7x", dead_letter="input_schema_unknown"),
    ]
    done = run(folder, events=events)
    assert done.exit_code == 0, done.output
    assert "6 passed, 0 failed" in done.output


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        (one("x", features={"salary": 999}), "feature 'salary' is 1000, not 999"),
        (one("x", features={"salary": None}), "feature 'salary' is 1000, not without a value"),
        (one("x", features={"celery": 1}), "there is no feature 'celery'"),
        (one("x", dead_letter="input_range"), "it became features"),
        (one("x", event={**EVENT, "age": 7}, features={"age": 7}), "it became the dead letter input_range"),
        (one("x", event={**EVENT, "age": 7}, dead_letter="input_event_time"), "input_range, not input_event_time"),
        (one("x", event={**EVENT, "age": 7}, dead_letter="input_range", because="loan"), "does not say 'loan'"),
        (one("x", event={"age": 7}, features={}), "it is no event"),
    ],
)
def test_a_failure_says_what_became_of_the_event(folder: Path, case: dict[str, Any], sentence: str) -> None:
    """One failed case: exit code 1, its name, what it was instead."""
    done = run(folder, "--json", events=[case, one("good", features={"age": 40})])
    assert done.exit_code == 1, done.output
    document = json.loads(done.stdout)
    assert (document["passed"], document["failed"]) == (1, 1)
    assert sentence in document["failures"][0]["what"]
    assert document["failures"][0]["case"].endswith("events.yaml: x")


@pytest.mark.parametrize(
    ("cases", "sentence"),
    [
        ({"events": [one("x", feature={})]}, "events.0.feature: Extra inputs are not permitted"),
        ({"events": [one("x")]}, "give either features or dead_letter"),
        ({"events": [{"name": "x", "features": {}}]}, "give either event or value"),
        ({}, "holds no test"),
    ],
)
def test_what_is_no_test_is_told(folder: Path, cases: dict[str, Any], sentence: str) -> None:
    """A misspelt key would make a test that looks at nothing."""
    done = run(folder, **cases)
    assert done.exit_code == 2
    assert sentence in " ".join(done.stderr.split())


def test_a_new_pipeline_comes_with_tests_that_pass(tmp_path: Path, folder: Path) -> None:
    """Of a table, of the commented example, and added to a pipeline that has none; what is there is kept."""
    table = tmp_path / "weather.csv"
    rows = "".join(f"{n},s{n % 3},{n}.5,clear,{n % 2}\n" for n in range(50))
    table.write_text(f"id,station,temperature,sky,rain\n{rows}")
    for made in (["weather", "--csv", str(table), "--label", "rain"], ["shop"]):
        new = CliRunner().invoke(app, ["pipeline", "new", *made, "--dir", str(tmp_path / made[0])])
        assert new.exit_code == 0, new.output
        done = run(tmp_path / made[0])
        assert done.exit_code == 0, done.output
    assert "2 passed" in run(folder, "--example").output
    assert run(folder, "--example").exit_code == 5


@pytest.fixture
def recorded(folder: Path) -> tuple[Path, Path]:
    """A packed model, and 200 rows of the labelled log that it answered; one more had its label before."""
    spec, _, schema = load_checked(folder)
    values, truths = feature_rows(spec, schema, loans.sample(schema, 201, seed=3))
    trained = train_and_pack("linear", values, truths, spec)
    trained.bundle.save(folder / "bundle")
    scores = Scorer.load(trained.bundle.data, trained.bundle.manifest).score(values)
    labels = np.array([spec.target.classes.index(text) for text in truths])
    flags = np.full(201, FIRST)
    flags[0] |= KNOWN_BEFORE
    rows = rows_of(201, values=values, scores=scores, answer=scores.argmax(axis=1), label=labels, flags=flags)
    record = record_of(rows).model_copy(update={"pipeline": spec.pipeline})
    table, _ = LogTable(spec).rows(batch([row(0, 0, encode(record))]))
    parquet.write_table(pa.Table.from_batches([table]), folder / "log.parquet")
    assert len(recorded_rows(folder / "log.parquet", spec)) == 200
    return folder / "bundle", folder / "log.parquet"


def model(name: str, **case: Any) -> dict[str, Any]:
    """A case about the packed model and its rows."""
    return {"name": name, "bundle": "../bundle", "rows": "../log.parquet", **case}


@pytest.mark.usefixtures("recorded")
def test_a_model_is_worth_on_recorded_rows_what_is_asked(folder: Path) -> None:
    """Its metrics, its scores beside those recorded; and what is not so is told with numbers."""
    good = model(
        "good",
        at_least={"accuracy": 0.3},
        at_most={"log_loss": 5},
        scores_differ_at_most=1e-6,
        answers_differ_at_most=0,
    )
    assert run(folder, models=[good]).exit_code == 0
    bad = {
        "too good": (model("x", at_least={"accuracy": 1.1}), "on 200 rows, less than 1.1"),
        "too bad": (model("x", at_most={"log_loss": 0.001}), "more than 0.001"),
        "no metric": (model("x", at_least={"charm": 1}), "charm is not measured"),
        "no bundle": (model("x", bundle="../nothing"), "holds no packed model"),
        "no rows": (model("x", rows="../pipeline.yaml"), "is no recorded labelled log of loans"),
    }
    for name, (case, sentence) in bad.items():
        done = run(folder, "--json", models=[case])
        assert done.exit_code == 1, name
        assert sentence in json.loads(done.stdout)["failures"][0]["what"], name


def test_another_model_differs_from_what_was_recorded(folder: Path, recorded: tuple[Path, Path]) -> None:
    """How many rows, and by how much."""
    spec, _, schema = load_checked(folder)
    values, truths = feature_rows(spec, schema, loans.sample(schema, 400, seed=4))
    train_and_pack("trees", values, truths, spec).bundle.save(recorded[0])
    done = run(folder, "--json", models=[model("x", scores_differ_at_most=0.01, answers_differ_at_most=0)])
    told = [failure["what"] for failure in json.loads(done.stdout)["failures"]]
    assert "lie more than 0.01 from those recorded" in told[0]
    assert "get another class than was recorded, of which 0.00% may" in told[1]


def test_the_examples_of_the_documents_are_test_files() -> None:
    """Each block of docs/testing.md can be copied as it stands."""
    text = (Path(__file__).parents[3] / "docs/testing.md").read_text()
    found = [Cases.model_validate(yaml.safe_load(block)) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    assert [(len(cases.events), len(cases.models)) for cases in found] == [(5, 0), (0, 2)]
