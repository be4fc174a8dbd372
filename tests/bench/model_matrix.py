"""Which models can be packed, and how exactly: trains each kind, packs it, and writes the table of docs/models.md.

    make models

A cell is the largest gap between original and bundle on rows made to hurt (at and beside every split, where answers
jump, at strangers, extremes and missing values), or the first words of the refusal. XGBoost and PyTorch are run, with
their own ONNX exports, if PYTHONPATH names a folder that has them (`pip install --target FOLDER xgboost onnxmltools
torch`); else their cells keep what was measured before, and say so.
"""

import pickle
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Final

import lightgbm
import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
)
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, LocalOutlierFactor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC, OneClassSVM
from sklearn.tree import DecisionTreeClassifier

from bench.model_table import NOT_RUN, Row, written
from freshet.models.gaps import row_gaps
from freshet.models.graph import read_model
from freshet.models.hard_rows import edge_rows, split_rows
from freshet.models.model_error import ModelError
from freshet.models.packing import pack
from support.fitted import NAMES, pipeline, scores_of, table, wanted

PAGE: Final = Path(__file__).parents[2] / "docs/models.md"
CLASSES = pipeline("{classes: ['no', 'yes']}")
VALUE = pipeline("{kind: value}")
ROWS: Final = 600
_WORDS: Final = 110

Cells = tuple[str, str]


def main() -> None:
    """Write the table into the page, and print it."""
    warnings.simplefilter("ignore")
    rows: list[Row] = []
    for row in chain(_estimators(), _lightgbm(), _xgboost(), _torch()):
        rows.append(row)
        print(" | ".join(row), file=sys.stderr)  # noqa: T201  (it is a command)
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), rows), encoding="utf-8")


def _scaled(last: Any) -> Any:
    return make_pipeline(StandardScaler(), last)


def _estimators() -> Iterator[tuple[str, str, str]]:
    classifiers: dict[str, Any] = {
        "LogisticRegression, scaled": _scaled(LogisticRegression()),
        "DecisionTreeClassifier": DecisionTreeClassifier(random_state=0),
        "RandomForestClassifier": RandomForestClassifier(30, random_state=0),
        "ExtraTreesClassifier": ExtraTreesClassifier(30, random_state=0),
        "GradientBoostingClassifier": GradientBoostingClassifier(n_estimators=30, random_state=0),
        "HistGradientBoostingClassifier": HistGradientBoostingClassifier(max_iter=30),
        "HistGradientBoostingClassifier with categories": HistGradientBoostingClassifier(categorical_features=[2]),
        "AdaBoostClassifier": AdaBoostClassifier(n_estimators=20, random_state=0),
        "BaggingClassifier": BaggingClassifier(n_estimators=10, random_state=0),
        "StackingClassifier of forest and logistic": StackingClassifier(
            [("a", RandomForestClassifier(10, random_state=0)), ("b", _scaled(LogisticRegression()))]
        ),
        "forest behind MinMaxScaler": make_pipeline(MinMaxScaler(), RandomForestClassifier(30, random_state=0)),
        "CalibratedClassifierCV of a forest": CalibratedClassifierCV(RandomForestClassifier(10, random_state=0)),
        "CalibratedClassifierCV, isotonic": CalibratedClassifierCV(
            HistGradientBoostingClassifier(max_iter=10), method="isotonic"
        ),
        "CalibratedClassifierCV of LinearSVC": _scaled(CalibratedClassifierCV(LinearSVC())),
        "CalibratedClassifierCV of SVC": _scaled(CalibratedClassifierCV(SVC(), ensemble=False)),
        "MLPClassifier, scaled": _scaled(MLPClassifier(max_iter=30, random_state=0)),
        "GaussianNB, scaled": _scaled(GaussianNB()),
        "QuadraticDiscriminantAnalysis, scaled": _scaled(QuadraticDiscriminantAnalysis()),
        "LinearDiscriminantAnalysis, scaled": _scaled(LinearDiscriminantAnalysis()),
        "SGDClassifier, log loss": _scaled(SGDClassifier(loss="log_loss", random_state=0)),
        "SGDClassifier, hinge": _scaled(SGDClassifier(random_state=0)),
        "LinearSVC": LinearSVC(),
        "RidgeClassifier": RidgeClassifier(),
        "KNeighborsClassifier": KNeighborsClassifier(),
    }
    for name, model in classifiers.items():
        yield name, *_both(partial(_fit_classes, model), CLASSES)
    values: dict[str, Any] = {
        "Ridge, scaled": _scaled(Ridge()),
        "RandomForestRegressor": RandomForestRegressor(30, random_state=0),
        "HistGradientBoostingRegressor": HistGradientBoostingRegressor(max_iter=30),
        "SVR, scaled": _scaled(SVR()),
        "IsolationForest": IsolationForest(n_estimators=20, random_state=0),
        "OneClassSVM, scaled": _scaled(OneClassSVM()),
        "LocalOutlierFactor (novelty)": LocalOutlierFactor(novelty=True),
    }
    for name, model in values.items():
        yield name, *_both(partial(_fit_values, model), VALUE)


def _lightgbm() -> Iterator[tuple[str, str, str]]:
    kinds: dict[str, dict[str, Any]] = {
        "": {},
        " with categories": {"categorical_feature": [2], "max_cat_to_onehot": 1, "min_data_per_group": 1},
        ", zero_as_missing": {"zero_as_missing": True},
        ", random forest": {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
    }
    for kind, settings in kinds.items():

        def trained(rows: Any, settings: dict[str, Any] = settings) -> Any:
            model = lightgbm.LGBMClassifier(n_estimators=30, verbose=-1, n_jobs=1, **settings)
            return model.fit(rows, np.where(wanted(rows), "yes", "no"))

        saved: dict[str, Callable[[Any], Any]] = {
            "LGBMClassifier (joblib)": lambda model: pickle.loads(pickle.dumps(model)),
            "Booster (pickle)": lambda model: pickle.loads(pickle.dumps(model.booster_)),
            "Booster (.txt)": _through_text,
        }
        for way, again in saved.items():
            yield f"LightGBM {way}{kind}", *_both(partial(_fit_and_save, trained, again), CLASSES)
    yield (
        "LightGBM LGBMRegressor (joblib)",
        *_both(lambda rows: lightgbm.LGBMRegressor(n_estimators=30, verbose=-1).fit(rows, rows[:, 1]), VALUE),
    )
    linear = {"linear_tree": True, "verbose": -1, "objective": "regression"}
    yield (
        "LightGBM, linear_tree",
        *_both(lambda rows: lightgbm.train(linear, lightgbm.Dataset(rows, rows[:, 1]), 5), VALUE),
    )


def _fit_classes(model: Any, rows: Any) -> Any:
    return model.fit(rows, np.where(wanted(rows), "yes", "no"))


def _fit_values(model: Any, rows: Any) -> Any:
    return model.fit(rows, wanted(rows) + rows[:, 3] / 10)


def _fit_and_save(fit: Callable[[Any], Any], again: Callable[[Any], Any], rows: Any) -> Any:
    return again(fit(rows))


def _through_text(model: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        model.booster_.save_model(Path(folder) / "model.txt")
        return lightgbm.Booster(model_file=Path(folder) / "model.txt")


def _both(make: Callable[[Any], Any], spec: Any) -> Cells:
    return _cell(make, spec, np.float64), _cell(make, spec, np.float32)


def _cell(make: Callable[[Any], Any], spec: Any, dtype: Any) -> str:
    rows = table(ROWS).astype(dtype)
    try:
        packed = pack(make(rows), rows.astype(np.float32), spec, labels="yes" if spec.target.classes else None)
    except ModelError as error:
        return _refusal(error)
    assert packed.parity is not None
    return f"{packed.parity.max_gap:.0e}"


def _refusal(error: ModelError) -> str:
    text = f"{error.reason}: {error.detail}".replace("|", "/")
    return "refused: " + (text if len(text) <= _WORDS else text[:_WORDS].rsplit(" ", 1)[0] + " …")


def _xgboost() -> Iterator[tuple[str, str, str]]:
    name = "XGBoost XGBClassifier, through ONNX"
    try:
        import xgboost  # type: ignore[import-not-found]  # noqa: PLC0415
        from onnxmltools import convert_xgboost  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415
        from onnxmltools.convert.common.data_types import (  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415
            FloatTensorType,
        )
    except ImportError:
        yield name, NOT_RUN, NOT_RUN
        return

    def graph(rows: Any) -> tuple[bytes, Callable[[Any], Any]]:
        model = xgboost.XGBClassifier(n_estimators=30, n_jobs=1).fit(rows, wanted(rows).astype(int))
        given = [("rows", FloatTensorType([None, len(NAMES)]))]
        return convert_xgboost(model, initial_types=given, target_opset=15).SerializeToString(), model.predict_proba

    yield name, _ready(graph, np.float64), _ready(graph, np.float32)


def _torch() -> Iterator[tuple[str, str, str]]:
    names = {
        first: f"PyTorch perceptron behind {first}, softmax, through ONNX"
        for first in ("(x - mean) / std", "BatchNorm")
    }
    try:
        import torch  # type: ignore[import-not-found]  # noqa: PLC0415
    except ImportError:
        yield from ((name, NOT_RUN, NOT_RUN) for name in names.values())
        return

    class Scaled(torch.nn.Module):  # type: ignore[misc,unused-ignore]
        """Subtracts first, so that amounts around 99,000 lose no digits; BatchNorm multiplies first."""

        def __init__(self, rows: Any) -> None:
            super().__init__()
            self.mean, self.std = rows.mean(dim=0), rows.std(dim=0)

        def forward(self, rows: Any) -> Any:
            return (rows - self.mean) / self.std

    def graph(first: str, rows: Any) -> tuple[bytes, Callable[[Any], Any]]:
        torch.manual_seed(0)
        given, truth = torch.from_numpy(rows.astype(np.float32)), torch.from_numpy(wanted(rows).astype(np.int64))
        scaled = torch.nn.BatchNorm1d(len(NAMES)) if first == "BatchNorm" else Scaled(given)
        layers = scaled, torch.nn.Linear(len(NAMES), 16), torch.nn.ReLU(), torch.nn.Linear(16, 2)
        model = torch.nn.Sequential(*layers)
        steps = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(200):
            steps.zero_grad()
            torch.nn.functional.cross_entropy(model(given), truth).backward()
            steps.step()
        model.append(torch.nn.Softmax(dim=1)).eval()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            torch.onnx.export(model, (given[:2],), path, dynamo=False, input_names=["rows"], dynamic_axes={"rows": [0]})
            data = path.read_bytes()
        return data, lambda asked: model(torch.from_numpy(asked)).detach().numpy()

    for first, name in names.items():
        yield name, "float32 only", _ready(partial(graph, first), np.float32)


def _ready(make: Callable[[Any], tuple[bytes, Callable[[Any], Any]]], dtype: Any) -> str:
    """The gap of a ready graph to its trainer's scores, on the sample and at and beside its splits."""
    rows = table(ROWS).astype(dtype)
    data, original = make(rows)
    sample = rows.astype(np.float32)
    asked = np.concatenate([sample, split_rows(read_model(data), sample).rows, edge_rows(sample)])
    try:
        packed = pack(data, asked, CLASSES, labels="yes", expected=np.asarray(original(asked), np.float32))
    except ModelError as error:
        return _refusal(error)
    return f"{row_gaps(np.asarray(original(asked), np.float32), scores_of(packed, asked)).max():.0e}"


if __name__ == "__main__":
    main()
