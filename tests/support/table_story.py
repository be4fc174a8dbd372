"""A table's whole way, from its file to predictions and their score, as a newcomer types it.

A module of its own, so that processes beside the tests' can import it: most of the way is waiting for Kafka.
"""

import csv
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import joblib  # type: ignore[import-untyped]
import lightgbm
import numpy as np
import pytest
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from typer.testing import CliRunner

from freshet.cli.main import app
from freshet.client import Client
from freshet.pipeline import load_checked
from support import tables

READY_S: Final = 90.0
MODELS: Final[dict[str, Any]] = {
    "transactions": lightgbm.LGBMClassifier(n_estimators=20, verbose=-1, n_jobs=1),
    "sensors": HistGradientBoostingRegressor(max_iter=20),
    "tickets": RandomForestClassifier(20, random_state=0),
    "bare": make_pipeline(StandardScaler(), LogisticRegression()),
    "wide": lightgbm.LGBMClassifier(n_estimators=10, verbose=-1, n_jobs=1),
    "messy": HistGradientBoostingClassifier(max_iter=20),
    "german": make_pipeline(SimpleImputer(), ExtraTreesClassifier(20, random_state=0)),
    "excel": lightgbm.LGBMRegressor(n_estimators=20, verbose=-1, n_jobs=1),
    "lines": HistGradientBoostingClassifier(max_iter=20),
    "parquet": RandomForestClassifier(20, random_state=0),
}


@dataclass(frozen=True)
class Place:
    """Where the services of all these pipelines run."""

    folder: Path
    kafka: str
    namespace: str

    @property
    def log(self) -> Path:
        """What `freshet up` says."""
        return self.folder / "pipelines.log"

    def wait_for(self, said: str) -> None:
        """Until `freshet up` has said this."""
        deadline = time.monotonic() + READY_S
        while said not in self.log.read_text():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)

    def freshet(self, *arguments: object) -> Any:
        """The document that a command prints with `--json`."""
        environment = {"KAFKA_BOOTSTRAP_SERVERS": self.kafka, "FRESHET_NAMESPACE": self.namespace}
        done = CliRunner().invoke(app, [*map(str, arguments), "--json"], env=environment)
        assert done.exit_code == 0, f"freshet {' '.join(map(str, arguments))}\n{done.stdout}{done.stderr}"
        return json.loads(done.stdout)


def answered_as_its_model_answers(place: Place, name: str) -> None:
    """From the table's file to predictions and their score; features and answers are worked out a second time here."""
    case = next(made for make in tables.CASES if (made := make()).name == name)
    pipeline, table = ["--pipeline", case.name], place.folder / case.file
    features, saved, bundle = (place.folder / f"{case.name}.{end}" for end in ("csv.features", "joblib", "bundle"))
    spec, _, _ = load_checked(place.folder / "pipelines" / case.name)
    assert spec.feature_names == case.features

    place.wait_for(f"{case.name} is applied as number")
    place.freshet("pipeline", "features", case.name, "--csv", table, "--label", case.label, "-o", features)
    x, labels = _read(features)
    np.testing.assert_array_equal(x, case.values)
    assert labels == [row.label or "" for row in case.rows]
    known = [at for at, label in enumerate(labels) if label]
    y = np.array([labels[at] for at in known])
    model = MODELS[case.name].fit(x[known], y if spec.target.classes else y.astype(float))
    joblib.dump(model, saved)

    place.freshet("model", "pack", saved, *pipeline, "--sample", table, "-o", bundle)
    place.freshet("model", "publish", bundle)
    place.wait_for("Ctrl-C ends all.")
    sent = place.freshet("replay", table, *pipeline, "--label", case.label)
    assert (sent["events"], sent["labels"], sent["left_out"]) == (len(x), len(known), 0)
    with Client(place.kafka, namespace=place.namespace) as client:
        answers = client.predictions(case.name, limit=len(x), timeout_s=60)
    _same_answers(answers, case, spec.target.classes, model)

    place.freshet("verify", *pipeline, "--wait", "30")
    (version,) = place.freshet("score", *pipeline)["versions"]
    assert (version["answered"], version["without_label"]) == (len(x), len(x) - len(known))
    own = model.predict(x[known])
    if spec.target.classes:
        assert version["score"]["right"] == pytest.approx(np.mean(own.astype(str) == y))
    else:
        assert version["score"]["mae"] == pytest.approx(np.mean(abs(own - y.astype(float))), rel=1e-4)


def _read(path: Path) -> tuple[Any, list[str]]:
    """The features file as a training script reads it: float64, and labels as text."""
    with path.open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    return np.array([[float(cell or "nan") for cell in row[:-1]] for row in rows]), [row[-1] for row in rows]


def _same_answers(answers: Any, case: tables.TableCase, classes: tuple[str, ...], model: Any) -> None:
    """Each event has the scores of its own row; by event id, or where the table has none, as many of each score."""
    if classes:
        order = [[str(name) for name in model.classes_].index(name) for name in classes]
        wanted = model.predict_proba(case.values)[:, order]
    else:
        wanted = model.predict(case.values)[:, None]
    found, ids = answers["scores"].astype(float), [row.event_id for row in case.rows]
    assert len(found) == len(wanted)
    if any(ids):
        assert sorted(answers["event_id"]) == sorted(ids)
        found, wanted = found[np.argsort(answers["event_id"])], wanted[np.argsort(np.array(ids))]
    else:
        found, wanted = np.sort(found, axis=0), np.sort(wanted, axis=0)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
