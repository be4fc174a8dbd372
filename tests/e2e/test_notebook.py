"""The notebook of docs/ runs from top to bottom over a pipeline on a real Kafka, and its frames say what is true."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
import pytest
from typer.testing import CliRunner

from freshet.cli.main import app
from freshet.client.data_frames import Frames
from freshet.contracts.errors import ContractError
from freshet.operate.operate_error import OperateError
from support.answered import answered_loans
from support.notebook import cells_of, run_notebook

pytestmark = [pytest.mark.kafka, pytest.mark.e2e, pytest.mark.timeout(300)]

NOTEBOOK: Final = Path(__file__).parents[2] / "docs/notebooks/pipeline_in_pandas.ipynb"
ROWS: Final = 2000


def test_the_notebook_runs_and_its_frames_say_what_is_true(
    kafka: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each event is one row of features and one of predictions; the share of right answers is that of evaluations."""
    mpl.use("Agg")
    for name, value in {"KAFKA_BOOTSTRAP_SERVERS": kafka, "FRESHET_NAMESPACE": namespace, "PIPELINE": "loans"}.items():
        monkeypatch.setenv(name, value)
    with answered_loans(kafka, namespace, tmp_path / "logs", ROWS):
        found = run_notebook(NOTEBOOK)
    assert len(found["features"]) == len(found["predictions"]) == ROWS
    assert found["features"]["event_id"].is_unique
    assert found["features"]["salary"].dtype == np.float32
    keys = {"left_on": ["partition", "offset"], "right_on": ["partition", "prediction_offset"]}
    joined = found["predictions"].merge(found["labelled"], **keys, suffixes=("", "_logged"))
    assert len(joined) == ROWS
    assert (joined["label"] == joined["answer"]).all()
    assert np.array_equal(joined["score.declined"], joined["score.declined_logged"])
    evaluations = found["evaluations"]
    served = evaluations[(evaluations["series"] == "served") & (evaluations["view"] == "arrival")]
    counted = 1 - found["error"].iloc[: served["rows"].sum()].mean()
    assert np.average(served["accuracy"], weights=served["rows"]) == pytest.approx(counted)
    assert len(found["axes"].lines) == 4

    read = Frames("loans")
    assert len(read.features(since=timedelta(hours=1))) == ROWS
    assert read.features(until=datetime(2020, 1, 1)).empty
    assert list(read.features(until="0").columns) == list(found["features"].columns)
    with pytest.raises(OperateError, match="neither a moment"):
        read.labels(since="soon")
    with pytest.raises(ContractError, match="no pipeline 'lones'"):
        Frames("lones")

    file = tmp_path / "features.parquet"
    command = ["topic", "export", "--pipeline", "loans", "--role", "features", "--parquet", str(file)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert f"wrote {ROWS:,} rows" in done.output
    assert CliRunner().invoke(app, command).exit_code == 5
    assert CliRunner().invoke(app, [*command, "--force"]).exit_code == 0
    assert CliRunner().invoke(app, [*command[:5], "events", *command[6:]]).exit_code == 2


def test_the_notebook_is_committed_without_outputs() -> None:
    """What a run printed is of that run's machine and data."""
    assert [cell["id"] for cell in cells_of(NOTEBOOK) if cell["outputs"] or cell["execution_count"]] == []
