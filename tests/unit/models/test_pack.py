"""What comes out of the packer answers as the original did, or does not come out."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
from onnx import helper
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, SplineTransformer, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from freshet.models.contract import TOLERANCE
from freshet.models.manifest import golden_rows
from freshet.models.model_error import ModelError
from freshet.models.packing import GOLDEN_ROWS, pack
from freshet.models.scorer import Scorer
from support.models import CLASSES, FEATURES, ROWS, WEIGHTS, graph, linear, softmax, softmax_scores, specification

SPEC = specification()
THREE = specification("{classes: [high, low, never, middle]}")
VALUE = specification("{kind: value}")

X = np.random.default_rng(3).normal(size=(600, 4)).astype(np.float32)
HOLED = np.where(np.random.default_rng(4).random(X.shape) < 0.1, np.nan, X).astype(np.float32)
AMOUNT = X[:, 0] * 3 + X[:, 1] ** 2
FRAUD = np.where(AMOUNT > 1, "fraud", "legit")
LEVEL = np.array(["low", "middle", "high"])[np.digitize(AMOUNT, [0, 2])]


def _lightgbm(**but: Any) -> Any:
    return lightgbm.LGBMClassifier(n_estimators=10, n_jobs=1, verbose=-1, **but)


@pytest.mark.parametrize(
    ("estimator", "rows", "target", "spec"),
    [
        (make_pipeline(StandardScaler(), LogisticRegression()), X, FRAUD, SPEC),
        (make_pipeline(StandardScaler(), HistGradientBoostingClassifier(max_iter=10)), HOLED, FRAUD, SPEC),
        (LogisticRegression(), X, LEVEL, THREE),
        (_lightgbm(), HOLED, LEVEL, THREE),
        (make_pipeline(StandardScaler(), _lightgbm()), HOLED, FRAUD, SPEC),
        (RandomForestClassifier(10), HOLED, LEVEL, THREE),
        (BaggingClassifier(n_estimators=3), HOLED, FRAUD, SPEC),
        (LinearRegression(), X, AMOUNT, VALUE),
        (DecisionTreeRegressor(max_depth=5), HOLED, AMOUNT, VALUE),
        (lightgbm.LGBMRegressor(n_estimators=10, n_jobs=1, verbose=-1), HOLED, AMOUNT, VALUE),
    ],
    ids=lambda part: type(part).__name__,
)
def test_packed_scores_are_the_originals(estimator: Any, rows: Any, target: Any, spec: Any) -> None:
    """The graph gives the original's scores in the pipeline's order, also at edges and for missing values."""
    estimator.fit(rows, target)
    bundle, parity, _ = pack(estimator, rows, spec)
    assert parity is not None
    assert parity.max_gap < 1e-5
    assert parity.agreement == 1
    assert ("missing" in parity.gaps) == bool(np.isnan(rows).any())
    scores = Scorer.load(bundle.data, bundle.manifest).score(rows)
    classes = spec.target.classes
    if not classes:
        np.testing.assert_allclose(scores[:, 0], estimator.predict(rows), rtol=1e-5, atol=1e-5)
        return
    original = dict(zip(estimator.classes_, estimator.predict_proba(rows).T, strict=True))
    for place, name in enumerate(classes):
        np.testing.assert_allclose(scores[:, place], original.get(name, np.zeros(len(rows))), atol=1e-5)


@pytest.mark.parametrize(
    ("objective", "target", "spec"),
    [
        ({"objective": "binary"}, FRAUD == "fraud", SPEC),
        ({"objective": "multiclass", "num_class": 4}, np.arange(600) % 4, THREE),
        ({"objective": "regression"}, AMOUNT, VALUE),
    ],
)
def test_a_native_booster_is_packed(objective: dict[str, Any], target: Any, spec: Any) -> None:
    """A LightGBM booster, also one that was read from its file; what its numbers stand for is told."""
    trained = lightgbm.train({"verbose": -1, "num_threads": 1, **objective}, lightgbm.Dataset(HOLED, target), 10)
    booster = lightgbm.Booster(model_str=trained.model_to_string())
    labels = dict(enumerate(spec.target.classes))
    bundle, parity, _ = pack(booster, HOLED, spec, labels=labels or None)
    assert parity is not None
    assert parity.max_gap < 1e-5
    assert bundle.manifest.trainer == "lightgbm.Booster"


def test_golden_rows_are_what_the_trainer_saw() -> None:
    """Golden rows are rows of the sample with the original's scores, and a new session answers them alike."""
    estimator = LogisticRegression().fit(X, FRAUD)
    bundle, _, _ = pack(estimator, X, SPEC)
    features, scores = golden_rows(bundle.manifest)
    assert len(features) == GOLDEN_ROWS
    assert {row.tobytes() for row in features} <= {row.tobytes() for row in X}
    np.testing.assert_allclose(scores, estimator.predict_proba(features)[:, ::-1], atol=1e-6)
    Scorer.load(bundle.data, bundle.manifest).check_golden()


def test_the_manifest_tells_where_it_comes_from() -> None:
    """Trainer, parameters, library versions and the sample are written down; what the caller adds stays."""
    estimator = make_pipeline(StandardScaler(), LogisticRegression(C=0.5)).fit(X, FRAUD)
    manifest = pack(estimator, X, SPEC, lineage={"training_set": "abc"}, metrics={"auc": 0.9}).bundle.manifest
    assert manifest.trainer == "sklearn.StandardScaler > sklearn.LogisticRegression"
    assert '"logisticregression__C": 0.5' in manifest.lineage["params"]
    assert "skl2onnx " in manifest.lineage["libraries"]
    assert manifest.lineage["training_set"] == "abc"
    assert manifest.metrics == {"auc": 0.9}
    assert (manifest.inputs, manifest.classes) == (FEATURES, CLASSES)


_TWICE = """
import sys, lightgbm, numpy as np
from sklearn.linear_model import LogisticRegression
from freshet.models.manifest import manifest_to_json
from freshet.models.packing import pack
from support.models import specification
rows = np.random.default_rng(3).normal(size=(300, 4)).astype(np.float32)
target = np.where(rows[:, 0] > 0, "fraud", "legit")
booster = lightgbm.Booster(model_file=sys.argv[1])
for model in (LogisticRegression().fit(rows, target), booster):
    print(manifest_to_json(pack(model, rows, specification(), labels="fraud").bundle.manifest))
"""


@pytest.mark.slow
def test_the_same_model_gives_the_same_bundle(tmp_path: Path) -> None:
    """Packing twice, in processes with another order of sets, gives the same bytes: the digest is the identity."""
    path = tmp_path / "booster.txt"
    data = lightgbm.Dataset(X, FRAUD == "fraud")
    lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, 5).save_model(path)
    tests = str(Path(__file__).parents[2])
    told = {
        subprocess.run(
            [sys.executable, "-c", _TWICE, str(path)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": tests},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1
    assert b'"digest"' in next(iter(told))


def test_ready_onnx_is_left_as_it_is() -> None:
    """The bytes of an ONNX file are packed unchanged, compared with the trainer's scores if these are given."""
    scores = softmax_scores(ROWS)
    bundle, parity, notes = pack(softmax(), ROWS, SPEC, labels="fraud")
    assert bundle.data == softmax()
    assert parity is None
    assert any("column 0 is legit, column 1 is fraud" in note for note in notes)
    np.testing.assert_allclose(golden_rows(bundle.manifest)[1], scores, atol=1e-6)
    _, parity, _ = pack(softmax(), ROWS, SPEC, expected=scores)
    assert parity is not None
    assert parity.max_gap < 1e-5
    with pytest.raises(ModelError, match="pack_parity"):
        pack(softmax(), ROWS, SPEC, expected=scores + np.float32(0.01))


def test_a_part_without_an_onnx_form_is_named_with_what_helps() -> None:
    """The converter's own words ask for a report to its authors, at an address that helps nobody here."""

    def fitted(step: Any) -> Any:
        return make_pipeline(step, LogisticRegression()).fit(X, FRAUD)

    with pytest.raises(ModelError, match=r"pack_convert: .*Fit it with encode='onehot-dense'") as refused:
        pack(fitted(KBinsDiscretizer(3, encode="onehot")), X, SPEC)
    assert "http" not in refused.value.detail
    parity = pack(fitted(KBinsDiscretizer(3, encode="onehot-dense")), X, SPEC).parity
    assert parity is not None
    assert parity.max_gap < 1e-5
    with pytest.raises(ModelError, match=r"pack_convert: .*there is no converter for its part SplineTransformer\."):
        pack(fitted(SplineTransformer()), X, SPEC)


def test_a_gap_is_refused_unless_it_is_accepted() -> None:
    """What float32 cannot compute alike is refused; accepted, golden rows are those that agree."""
    estimator = make_pipeline(PCA(3, random_state=0), DecisionTreeClassifier(random_state=0)).fit(X, FRAUD)
    with pytest.raises(
        ModelError, match=r"pack_parity: .* where its answers jump.* fit the trees on the features.* --max-gap"
    ):
        pack(estimator, X, SPEC)
    bundle, parity, _ = pack(estimator, X, SPEC, max_gap=1)
    assert parity is not None
    assert parity.gaps["jumps"] > TOLERANCE
    Scorer.load(bundle.data, bundle.manifest).check_golden()


@pytest.mark.parametrize(
    ("model", "options", "reason"),
    [
        (LogisticRegression().fit(X, LEVEL), {}, "pack_classes"),
        (
            LogisticRegression().fit(X, LEVEL),
            {"labels": {"low": "legit", "middle": "legit", "high": "fraud"}},
            "pack_classes",
        ),
        (LinearRegression().fit(X, AMOUNT), {}, "pack_classes"),
        (LinearSVC().fit(X, FRAUD), {}, "pack_classes"),
        (KNeighborsClassifier().fit(X, FRAUD), {}, "graph_control_flow"),
        (LogisticRegression().fit(X[:, :3], FRAUD), {}, "pack_input"),
        (LogisticRegression().fit(X, FRAUD), {"inputs": FEATURES[:3]}, "pack_input"),
        (LogisticRegression().fit(X, FRAUD), {"inputs": ("amount", "age", "hour", "shoe_size")}, "pack_input"),
        (object(), {}, "pack_input"),
        (make_pipeline(StandardScaler(), LogisticRegression()).fit(X[:, :3], FRAUD), {}, "pack_input"),
        (b"not onnx", {}, "graph_unreadable"),
        (linear(), {"output_name": "labels"}, "pack_input"),
    ],
)
def test_what_cannot_be_served_is_not_packed(model: Any, options: dict[str, Any], reason: str) -> None:
    """Labels, inputs and operators that do not fit the pipeline are named before anything is published."""
    with pytest.raises(ModelError) as refused:
        pack(model, X, SPEC, **options)
    assert refused.value.reason == reason, refused.value.detail


def test_labels_can_be_told() -> None:
    """Labels of any kind stand for the classes that the caller says."""
    estimator = LogisticRegression().fit(X, np.where(FRAUD == "fraud", 7, 3))
    bundle, _, _ = pack(estimator, X, SPEC, labels={7: "fraud", 3: "legit"})
    scores = Scorer.load(bundle.data, bundle.manifest).score(X)
    np.testing.assert_allclose(scores[:, CLASSES.index("fraud")], estimator.predict_proba(X)[:, 1], atol=1e-6)


def test_scores_are_found_among_outputs() -> None:
    """Of several outputs the one called `probabilities`, or the one that is named, holds the scores."""
    both = [helper.make_tensor_value_info(name, 1, [None, 2]) for name in ("raw", "probabilities")]
    nodes = [
        helper.make_node("MatMul", ["rows", "weights"], ["raw"]),
        helper.make_node("Softmax", ["raw"], ["probabilities"], axis=1),
    ]
    data = graph(nodes, {"weights": WEIGHTS}, answers=both).SerializeToString()
    assert pack(data, ROWS, SPEC, labels="fraud").bundle.manifest.output_name == "probabilities"
    with pytest.raises(ModelError, match=r"pack_classes: its scores go from .* no probabilities but margins"):
        pack(data, ROWS, SPEC, output_name="raw", labels="fraud")
