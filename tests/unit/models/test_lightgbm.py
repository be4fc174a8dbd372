"""LightGBM, saved in any way, trained on float64 or float32: every float32 row takes the branch that it took there."""

import pickle
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest

from freshet.models.lightgbm_trees import ZERO
from freshet.models.model_error import ModelError
from freshet.models.packing import inputs_for, pack
from freshet.models.thresholds import neighbours
from support.fitted import NAMES, pipeline, scores_of, table, wanted

pytestmark = pytest.mark.slow

BINARY = pipeline("{classes: ['no', 'yes']}")
VALUE = pipeline("{kind: value}")
EXACT = 2e-6


def _splits(booster: Any) -> list[tuple[int, float]]:
    """Feature and threshold of every split; a category is one, too."""
    found, waiting = [], [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]
    while waiting:
        node = waiting.pop()
        if "split_feature" in node:
            found += [(node["split_feature"], float(text)) for text in str(node["threshold"]).split("||")]
            waiting += [node["left_child"], node["right_child"]]
    return found


def _hard_rows(booster: Any, rows: Any) -> Any:
    """At and beside each threshold, at fractions of categories, at tiny and missing values, in other rows each time."""
    rng, found = np.random.default_rng(1), [rows]
    plain = [
        (at, value) for at in range(rows.shape[1]) for value in (0, -0.0, ZERO, -ZERO, 1e-40, -1e-40, -0.5, np.nan)
    ]
    for feature, threshold in [*_splits(booster), *plain]:
        with np.errstate(over="ignore"):
            near = np.array([threshold]).astype(np.float32)
        for value in (near, *neighbours(near), near + np.float32(0.7)):
            more = rows[rng.integers(0, len(rows), 8)].copy()
            more[:, feature] = value
            found.append(more)
    asked = np.concatenate(found)
    return asked[~np.isinf(asked).any(axis=1)]  # no feature is infinite: ingestion refuses it


TRAINING: dict[str, dict[str, Any]] = {
    "plain": {},
    "zeros are missing": {"zero_as_missing": True},
    "missing is zero": {"use_missing": False},
    "categories in sets": {"categorical_feature": [2], "max_cat_to_onehot": 1, "min_data_per_group": 1},
    "categories one by one": {"categorical_feature": [2], "max_cat_to_onehot": 100},
    "forest": {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
    "dropout": {"boosting": "dart"},
    "steep": {"sigmoid": 2.5},
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("kind", TRAINING)
def test_every_row_takes_its_branch(kind: str, holes: bool, dtype: Any) -> None:
    """The three ways of saving a model give the same answers as the model, at and beside every threshold."""
    trained_on = table(holes=holes).astype(dtype)
    data = lightgbm.Dataset(trained_on, wanted(trained_on).astype(int), feature_name=list(NAMES))
    settings = {"objective": "binary", "verbose": -1, "num_threads": 1, "num_leaves": 15, **TRAINING[kind]}
    booster = lightgbm.train(settings, data, 8)
    rows = trained_on.astype(np.float32)
    asked = _hard_rows(booster, rows)
    for model in (booster, lightgbm.Booster(model_str=booster.model_to_string()), pickle.loads(pickle.dumps(booster))):
        packed = pack(model, rows, BINARY, labels="yes")
        assert packed.parity is not None
        assert packed.parity.max_gap < EXACT
        assert packed.parity.gaps["splits"] < EXACT
        np.testing.assert_allclose(scores_of(packed, asked)[:, 1], booster.predict(asked), atol=EXACT)


@pytest.mark.parametrize(
    "objective",
    ["regression", "regression_l1", "huber", "quantile", "mape", "poisson", "gamma", "tweedie", "cross_entropy"],
)
def test_every_objective_makes_the_originals_values(objective: str) -> None:
    """Sums of leaves become values by what the objective says."""
    rows = table(holes=True)
    truth = wanted(rows) * 0.8 + 0.1
    booster = lightgbm.train(
        {"objective": objective, "verbose": -1, "num_threads": 1}, lightgbm.Dataset(rows, truth), 8
    )
    packed = pack(booster, rows.astype(np.float32), VALUE)
    asked = _hard_rows(booster, rows.astype(np.float32))
    np.testing.assert_allclose(scores_of(packed, asked)[:, 0], booster.predict(asked), rtol=1e-5, atol=EXACT)


def test_estimators_are_packed_as_they_are_pickled() -> None:
    """LGBMClassifier with its own labels, of more than two classes and of one that it never saw; LGBMRegressor."""
    rows = table(holes=True)
    level = np.array(["low", "mid", "high"])[np.digitize(np.nan_to_num(rows[:, 1]), [30, 50])]
    classifier = lightgbm.LGBMClassifier(n_estimators=8, verbose=-1, n_jobs=1).fit(rows, level)
    packed = pack(
        pickle.loads(pickle.dumps(classifier)), rows.astype(np.float32), pipeline("{classes: [high, low, never, mid]}")
    )
    asked = _hard_rows(classifier.booster_, rows.astype(np.float32))
    scores, truth = scores_of(packed, asked), classifier.predict_proba(asked)
    np.testing.assert_allclose(scores[:, [0, 1, 3]], truth, atol=EXACT)
    assert not scores[:, 2].any()
    regressor = lightgbm.LGBMRegressor(n_estimators=8, verbose=-1, n_jobs=1).fit(rows, np.nan_to_num(rows[:, 1]) * 1000)
    again = pack(pickle.loads(pickle.dumps(regressor)), rows.astype(np.float32), VALUE)
    np.testing.assert_allclose(scores_of(again, asked)[:, 0], regressor.predict(asked), rtol=1e-5, atol=1e-3)


def test_neighbouring_amounts_are_told_apart_though_the_sample_lacks_them() -> None:
    """A split half-way between two float32 neighbours: rounded to the nearest, one of them took the other branch."""
    amounts = np.unique(np.round(99_000 + np.arange(200) / 100, 2).astype(np.float32))
    spec = pipeline("{classes: ['0', '1']}", ("amount",))
    for at in range(60, 80):
        rows = np.repeat(amounts, 20).reshape(-1, 1)
        model = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1, max_bin=1023, min_data_in_bin=1)
        model.fit(rows, (rows[:, 0] > amounts[at]).astype(int))
        packed = pack(model, np.delete(amounts, [at, at + 1]).reshape(-1, 1), spec)
        asked = amounts[[at, at + 1]].reshape(-1, 1)
        np.testing.assert_allclose(scores_of(packed, asked), model.predict_proba(asked), atol=EXACT)


def test_the_names_that_a_booster_remembers_decide() -> None:
    """In another order than the pipeline's; its spaces came back as `_`."""
    names = ("unit price", "age", "items")
    spec = pipeline("{classes: ['no', 'yes']}", names)
    rows = table()[:, :3]
    order = [2, 0, 1]
    data = lightgbm.Dataset(rows[:, order], wanted(table()).astype(int), feature_name=[names[at] for at in order])
    booster = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, 8)
    read = lightgbm.Booster(model_str=booster.model_to_string())
    found = inputs_for(read, spec)
    assert found.names == ("items", "unit price", "age")
    packed = pack(read, rows[:, order].astype(np.float32), spec, labels="yes")
    assert packed.bundle.manifest.inputs == found.names


def _linear_tree() -> Any:
    rows = table()
    return lightgbm.train(
        {"objective": "regression", "linear_tree": True, "verbose": -1}, lightgbm.Dataset(rows, rows[:, 1]), 3
    )


def _pandas_categories() -> Any:
    booster = lightgbm.train({"verbose": -1}, lightgbm.Dataset(table(), table()[:, 1]), 2)
    text = booster.model_to_string().rpartition("pandas_categorical:")[0]
    return lightgbm.Booster(model_str=f'{text}pandas_categorical:[["red", "blue"]]\n')


def _large_category() -> Any:
    rows = table()
    rows[:, 2] = rows[:, 2] + (1 << 25)
    settings = {"verbose": -1, "categorical_feature": [2], "min_data_per_group": 1, "cat_smooth": 0}
    return lightgbm.train(settings, lightgbm.Dataset(rows, wanted(table())), 3)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_linear_tree, r"pack_convert: .* linear models \(linear_tree\)"),
        (_pandas_categories, r"pack_input: .* pandas column of categories \(red, blue\)"),
        (_large_category, "pack_convert: .* float32 cannot tell categories apart"),
    ],
)
def test_what_cannot_be_exact_is_refused_by_name(make: Any, why: str) -> None:
    """Nothing is left to the parity check that can be said outright."""
    with pytest.raises(ModelError, match=why):
        pack(make(), table().astype(np.float32), VALUE)


def test_a_booster_with_an_objective_of_its_own_is_no_classifier(tmp_path: Path) -> None:
    """Its numbers are margins, which no pipeline of classes may publish."""
    rows = table()

    def loss(scores: Any, data: Any) -> tuple[Any, Any]:
        likely = 1 / (1 + np.exp(-scores))
        return likely - data.get_label(), likely * (1 - likely)

    data = lightgbm.Dataset(rows, wanted(rows).astype(int))
    lightgbm.train({"objective": loss, "verbose": -1, "num_threads": 1}, data, 5).save_model(tmp_path / "own.txt")
    with pytest.raises(ModelError, match="pack_classes: the estimator is a regression"):
        pack(lightgbm.Booster(model_file=tmp_path / "own.txt"), rows.astype(np.float32), BINARY, labels="yes")
