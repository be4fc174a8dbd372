"""MLflow and DVC themselves, in an environment of their own: `make readers`."""

import os
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import joblib  # type: ignore[import-untyped]
import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from freshet.cli.main import app
from freshet.contracts.shipped import pipelines_dir
from freshet.lab.demo import loans
from freshet.lab.demo.training import train
from freshet.models.bundle import Bundle
from freshet.operate.export.parquet_writer import ParquetWriter
from freshet.operate.mlflow_runs import Point, RunRecord
from freshet.operate.tables.events import Events
from freshet.operate.tables.features import feature_rows, write_features
from freshet.pipeline import load_checked
from support.environments import environment

pytestmark = [pytest.mark.readers, pytest.mark.timeout(1800)]

HOME: Final = Path(__file__).parents[2] / ".local/readers/mlflow"
PACKAGES: Final = ("mlflow-skinny==3.17.2", "alembic==1.20.1", "SQLAlchemy==2.1.9", "sqlparse==0.6.1", "dvc==3.67.1")


@pytest.fixture(autouse=True)
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Its packages come behind our own, so that nothing of ours is replaced."""
    environment(HOME, PACKAGES, within_s=1500)
    (site,) = HOME.glob("lib/python*/site-packages")
    monkeypatch.setattr(sys, "path", [*sys.path, str(site)])
    import_module("freshet.operate.mlflow_store")
    return import_module("mlflow")


def run(name: str, *points: Point, status: str = "FINISHED") -> RunRecord:
    """A run with these figures."""
    end_ms = 2000 if status == "FINISHED" else None
    return RunRecord(f"p/{name}", name, status, 1000, end_ms, {"seed": "1"}, {"freshet.gate": "pass"}, points)


@pytest.mark.parametrize("kind", ["sqlite", "files"])
def test_an_export_that_is_repeated_writes_nothing_twice(
    tmp_path: Path, mlflow: Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Into a database and into the older store of files: first all, then nothing, then only what is new."""
    write_runs = import_module("freshet.operate.mlflow_store").write_runs
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    store = f"sqlite:///{tmp_path}/mlflow.db" if kind == "sqlite" else f"file://{tmp_path}/mlruns"
    first = Point("served.accuracy", 0.5, 1500, 250)
    records = [run("a", first, Point("candidate.auc", 0.9, 1400, 0)), run("b", status="RUNNING")]
    assert write_runs(store, "p", records) == (2, 0, 0)
    assert write_runs(store, "p", records) == (0, 0, 2)
    more = Point("served.accuracy", 0.6, 1600, 500)
    records = [replace(records[0], metrics=(*records[0].metrics, more)), run("b")]
    assert write_runs(store, "p", records) == (0, 2, 0)

    client = mlflow.MlflowClient(store)
    found = {one.info.run_name: one for one in client.search_runs([client.get_experiment_by_name("p").experiment_id])}
    assert {name: one.info.status for name, one in found.items()} == {"a": "FINISHED", "b": "FINISHED"}
    assert found["a"].data.params == {"seed": "1"}
    assert found["a"].data.metrics == {"served.accuracy": 0.6, "candidate.auc": 0.9}
    history = client.get_metric_history(found["a"].info.run_id, "served.accuracy")
    assert [(one.value, one.step) for one in history] == [(0.5, 250), (0.6, 500)]

    client.delete_tag(found["a"].info.run_id, "freshet.content")  # as if the export had been broken off
    assert write_runs(store, "p", records) == (0, 1, 1)
    assert len(client.get_metric_history(found["a"].info.run_id, "served.accuracy")) == 2


def test_runs_with_hundreds_of_parameters_and_tags_are_written(tmp_path: Path, mlflow: Any) -> None:
    """MLflow takes a hundred of each at a time."""
    write_runs = import_module("freshet.operate.mlflow_store").write_runs
    params, tags = ({f"{kind}{at}": str(at) for at in range(250)} for kind in ("param", "tag"))
    store = f"sqlite:///{tmp_path}/mlflow.db"
    assert write_runs(store, "p", [replace(run("a"), params=params, tags=tags)]) == (1, 0, 0)
    client = mlflow.MlflowClient(store)
    (found,) = client.search_runs([client.get_experiment_by_name("p").experiment_id])
    assert found.data.params == params
    assert {name: value for name, value in found.data.tags.items() if name.startswith("tag")} == tags


def test_a_model_of_mlflow_is_packed_as_its_file_is(tmp_path: Path, mlflow: Any) -> None:
    """From a run and from MLflow's registry: the bundle has the bytes of `model pack`, and says where it came from."""
    folder, store = pipelines_dir() / "loans", f"sqlite:///{tmp_path}/mlflow.db"
    spec, _, schema = load_checked(folder)
    events = loans.sample(schema, 600, seed=1)
    model = train("linear", *feature_rows(spec, schema, events))
    sample = tmp_path / "features.csv"
    write_features(sample, spec, schema, [Events(events.columns, None)], None)
    joblib.dump(model, tmp_path / "model.joblib")
    mlflow.set_tracking_uri(store)
    mlflow.set_registry_uri(store)
    number = mlflow.create_experiment("mine", artifact_location=f"file://{tmp_path}/artifacts")
    with mlflow.start_run(experiment_id=number):
        options = {"serialization_format": "cloudpickle", "pip_requirements": ["scikit-learn"]}
        logged = mlflow.sklearn.log_model(model, name="model", registered_model_name="loans", **options)
    common = ["--pipeline", str(folder), "--sample", str(sample)]
    own = CliRunner().invoke(
        app, ["model", "pack", str(tmp_path / "model.joblib"), *common, "-o", str(tmp_path / "own")]
    )
    assert own.exit_code == 0, own.output
    for uri in ("models:/loans/1", logged.model_uri):
        command = ["import", "mlflow", uri, *common, "-o", str(tmp_path / "bundle"), "--store", store]
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
        bundle = Bundle.load(tmp_path / "bundle")
        assert bundle.data == Bundle.load(tmp_path / "own").data
        assert bundle.manifest.lineage["mlflow_model"] == uri
    missing = CliRunner().invoke(app, ["import", "mlflow", "models:/loans/7", *common, "-o", "x", "--store", store])
    assert missing.exit_code == 1
    assert "MLflow at sqlite" in missing.stderr


def test_dvc_knows_an_export_again(tmp_path: Path) -> None:
    """The same rows exported anew are no change to DVC, other rows are."""
    schema = pa.schema([("n", pa.int64())])

    def exported(*numbers: int) -> None:
        with ParquetWriter(tmp_path / "features.parquet", schema) as out:
            out.add(pa.RecordBatch.from_arrays([pa.array(np.array(numbers))], schema=schema))
            out.finish({"freshet.digest": "d"})

    def dvc(*arguments: str) -> str:
        command = [str(HOME / "bin/python"), "-m", "dvc", *arguments]
        quiet = os.environ | {"DVC_NO_ANALYTICS": "true"}
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True, env=quiet).stdout

    exported(1, 2)
    dvc("init", "--no-scm", "--quiet")
    dvc("add", "--quiet", "features.parquet")
    exported(1, 2)
    assert "up to date" in dvc("status")
    exported(1, 3)
    assert "modified" in dvc("status")
