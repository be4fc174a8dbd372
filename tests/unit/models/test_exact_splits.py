"""scikit-learn's trees and scalers: at a threshold and beside it every float32 row takes the branch it took there."""

from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from freshet.models.original import parts_of
from freshet.models.packing import pack
from freshet.models.thresholds import floor_float32, neighbours
from freshet.profiles.bin_edges import chosen
from support.fitted import pipeline, scores_of, table, wanted

pytestmark = pytest.mark.slow

BINARY = pipeline("{classes: ['no', 'yes']}")
VALUE = pipeline("{kind: value}")


def test_a_threshold_is_rounded_down() -> None:
    """x <= t is the same question for every float32 x, whatever t; at the ends of float32, too."""
    rng = np.random.default_rng(0)
    thresholds = np.concatenate([rng.normal(0, 1e5, 5000), [0.0, -0.0, 1e300, -1e300, 1e-46, -1e-46, 3.5e38, -3.5e38]])
    floors = floor_float32(thresholds)
    near = np.concatenate([floors, *neighbours(floors)])
    exact, rounded = np.tile(thresholds, 3), np.tile(floors, 3)
    finite = np.isfinite(near)
    np.testing.assert_array_equal((near.astype(np.float64) <= exact)[finite], (near <= rounded)[finite])


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_the_largest_float32_has_neighbours_without_a_warning() -> None:
    """The one above it is infinite: whoever packs a model or chooses edges is not told of an overflow."""
    largest = np.finfo(np.float32).max
    below, above = neighbours(np.array([-largest, largest], np.float32))
    assert (float(below[0]), float(above[1])) == (-np.inf, np.inf)
    assert floor_float32([1e300, -1e300]).tolist() == [float(largest), -np.inf]
    edges = chosen(("f",), np.array([[largest], [0.0]], np.float32))
    assert edges.edges.max() == largest


def _thresholds(model: Any) -> list[tuple[int, float]]:
    found = []
    for part in parts_of(model):
        if hasattr(part, "tree_"):
            tree = part.tree_
            inner = np.flatnonzero(tree.children_left >= 0)
            found += list(zip(tree.feature[inner].tolist(), tree.threshold[inner].tolist(), strict=True))
        for predictor in (each for stage in getattr(part, "_predictors", ()) for each in stage):
            inner = np.flatnonzero(predictor.nodes["is_leaf"] == 0)
            columns = predictor.nodes["feature_idx"][inner], predictor.nodes["num_threshold"][inner]
            found += list(zip(columns[0].tolist(), columns[1].tolist(), strict=True))
    return found


TREES: dict[str, Any] = {
    "tree": DecisionTreeClassifier(random_state=0),
    "forest": RandomForestClassifier(8, random_state=0),
    "extra trees": ExtraTreesClassifier(8, random_state=0),
    "boosting": GradientBoostingClassifier(n_estimators=8, random_state=0),
    "histograms": HistGradientBoostingClassifier(max_iter=8, random_state=0),
    "bagging": BaggingClassifier(n_estimators=4, random_state=0),
    "bagging of columns": BaggingClassifier(n_estimators=4, max_features=3, random_state=0),
    "calibrated": CalibratedClassifierCV(RandomForestClassifier(4, random_state=0), cv=2),
    "calibrated histograms": CalibratedClassifierCV(HistGradientBoostingClassifier(max_iter=4), cv=2),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("kind", TREES)
def test_every_row_takes_its_branch(kind: str, holes: bool, dtype: Any) -> None:
    """Also where values are missing, for those that take them."""
    if holes and kind == "boosting":
        pytest.skip("GradientBoosting takes no missing values")
    trained_on = table(600, holes=holes).astype(dtype)
    model = TREES[kind].fit(trained_on, np.where(wanted(trained_on), "yes", "no"))
    rows, rng = trained_on.astype(np.float32), np.random.default_rng(2)
    found = [rows]
    for feature, threshold in _thresholds(model):
        near = np.array([threshold]).astype(np.float32)
        for value in (near, *neighbours(near)):
            more = rows[rng.integers(0, len(rows), 4)].copy()
            more[:, feature] = value
            found.append(more)
    asked = np.concatenate(found)
    asked = asked[~np.isinf(asked).any(axis=1)]  # a split of missing values only has an infinite threshold
    packed = pack(model, rows, BINARY)
    assert packed.parity is not None
    assert packed.parity.max_gap < 1e-6
    np.testing.assert_allclose(scores_of(packed, asked), model.predict_proba(asked), atol=1e-6)


@pytest.mark.parametrize("scaler", [StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_scalers_give_the_same_bits_to_the_trees_behind_them(scaler: Any, dtype: Any) -> None:
    """A last bit sends a row down another branch; the rows where answers jump are found by halving."""
    rows = table(600, holes=True).astype(dtype)
    model = make_pipeline(scaler(), HistGradientBoostingClassifier(max_iter=8)).fit(
        rows, np.where(wanted(rows), "yes", "no")
    )
    packed = pack(model, rows.astype(np.float32), BINARY)
    assert packed.parity is not None
    assert packed.parity.gaps["jumps"] < 1e-6
    assert packed.parity.max_gap < 1e-6


@pytest.mark.parametrize("model", [RandomForestRegressor(8), HistGradientBoostingRegressor(max_iter=8)])
def test_values_of_trees_are_the_originals(model: Any) -> None:
    """Relative to their size."""
    rows = table(600)
    packed = pack(model.fit(rows, rows[:, 0] * 1000), rows.astype(np.float32), VALUE)
    assert packed.parity is not None
    assert packed.parity.max_gap < 1e-5


def test_a_detector_publishes_what_it_decides_by() -> None:
    """decision_function, and it says so: below 0 is an outlier."""
    rows = table(600).astype(np.float32)
    model = make_pipeline(StandardScaler(), IsolationForest(n_estimators=10, random_state=0)).fit(rows)
    packed = pack(model, rows, VALUE)
    assert any("detector" in note and "below 0 is an outlier" in note for note in packed.notes)
    assert packed.bundle.manifest.lineage["score"].startswith("decision_function")
    np.testing.assert_allclose(scores_of(packed, rows)[:, 0], model.decision_function(rows), atol=1e-6)
