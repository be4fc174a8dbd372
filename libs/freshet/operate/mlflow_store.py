"""Runs into an MLflow store, and models out of one. Needs the extra `mlflow`."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nothing is reported to anybody

import mlflow
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from freshet.operate.mlflow_runs import Point, RunRecord
from freshet.operate.operate_error import OperateError

_ID: Final = "freshet.id"
_CONTENT: Final = "freshet.content"
_AT_ONCE: Final = 500
"""Metrics that one request may hold, less than a server takes."""
_LABELS_AT_ONCE: Final = 100
"""Parameters, and tags, that one request may hold: a server takes no more."""


class Written(NamedTuple):
    """What an export did."""

    created: int
    updated: int
    unchanged: int


def write_runs(store_uri: str, experiment: str, records: Sequence[RunRecord]) -> Written:
    """Bring the runs of an experiment up to date; written twice, nothing is there twice. Raises OperateError.

    A run is found by its tag `freshet.id`. The tag `freshet.content` is set last: what an export that was broken off
    has left out, the next one adds.
    """
    counts = {"created": 0, "updated": 0, "unchanged": 0}
    with _told(store_uri):
        client = mlflow.MlflowClient(store_uri, registry_uri=store_uri)
        found = client.get_experiment_by_name(experiment)
        number = client.create_experiment(experiment) if found is None else found.experiment_id
        there = {run.data.tags[_ID]: run for run in _runs(client, number) if _ID in run.data.tags}
        for record in records:
            run = there.get(record.id)
            if run is not None and run.data.tags.get(_CONTENT) == record.content:
                counts["unchanged"] += 1
                continue
            counts["created" if run is None else "updated"] += 1
            tags = {_ID: record.id}
            run = run or client.create_run(number, record.start_ms, tags, run_name=record.name)
            _write(client, run, record)
    return Written(**counts)


def _runs(client: Any, experiment: str) -> Iterator[Any]:
    page = None
    while True:
        found = client.search_runs([experiment], max_results=_AT_ONCE, page_token=page)
        yield from found
        page = found.token
        if not page:
            return


def _write(client: Any, run: Any, record: RunRecord) -> None:
    """Add what the run lacks. What a store may not change, such as a parameter, does not change here either."""
    number = run.info.run_id
    params = [Param(name, value) for name, value in record.params.items() if name not in run.data.params]
    tags = [RunTag(name, value) for name, value in {**record.tags, "mlflow.runName": record.name}.items()]
    for first in range(0, max(len(params), len(tags)), _LABELS_AT_ONCE):
        part = slice(first, first + _LABELS_AT_ONCE)
        client.log_batch(number, params=params[part], tags=tags[part])
    missing = list(_missing(client, run, record.metrics))
    for first in range(0, len(missing), _AT_ONCE):
        client.log_batch(number, [Metric(*point) for point in missing[first : first + _AT_ONCE]])
    if record.end_ms is not None:
        client.set_terminated(number, record.status, record.end_ms)
    client.set_tag(number, _CONTENT, record.content)


def _missing(client: Any, run: Any, points: Sequence[Point]) -> Iterator[Point]:
    """The points that lie behind the last one of their metric."""
    last: dict[str, tuple[int, int]] = {}
    for name in {point.name for point in points} & {*run.data.metrics}:
        last[name] = max((one.timestamp, one.step) for one in client.get_metric_history(run.info.run_id, name))
    yield from (point for point in points if (point.at_ms, point.step) > last.get(point.name, (-1, -1)))


def fetch_model(store_uri: str, model_uri: str, folder: Path) -> Path:
    """Write the model of a run or of MLflow's registry as a file that `freshet model pack` takes; raises OperateError.

    `runs:/ID/model`, `models:/name/3`, `models:/name@alias`: of the flavour onnx, or of sklearn, whose reading runs
    code that the model names.
    """
    with _told(store_uri):
        mlflow.set_tracking_uri(store_uri)
        mlflow.set_registry_uri(store_uri)
        here = Path(mlflow.artifacts.download_artifacts(model_uri, dst_path=str(folder)))
        flavours = mlflow.models.Model.load(str(here)).flavors
        if "onnx" in flavours:
            return here / str(flavours["onnx"]["data"])
        if "sklearn" not in flavours:
            known = ", ".join(sorted(flavours))
            raise OperateError(
                f"{model_uri} has the flavours {known}: Freshet packs onnx and sklearn. Export it to ONNX where it was "
                "trained, and log that.",
                "usage",
            )
        import joblib  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra

        file = folder / "model.joblib"
        joblib.dump(mlflow.sklearn.load_model(str(here)), file)
        return file


@contextmanager
def _told(store_uri: str) -> Iterator[None]:
    """What MLflow raises, as a sentence."""
    try:
        yield
    except MlflowException as error:
        raise OperateError(f"MLflow at {store_uri}: {error}", "failed") from error
