"""What each feature contributed: it adds up to the raw score, and is exact."""

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier

from freshet.contracts.arrays import Floats32
from freshet.models.bundle import Bundle
from freshet.models.contributions import LINEAR, Contributions, contributions
from freshet.models.manifest import golden_rows
from freshet.models.model_error import ModelError
from freshet.models.packing import pack
from freshet.models.scorer import Scorer
from freshet.pipeline import PipelineSpec
from freshet.pipeline.catalogue import trainers
from freshet.training.data import TrainingData

NAMES = ("w", "x", "y", "z")
TARGETS = {
    (): "{kind: value}",
    ("no", "yes"): '{classes: ["no", "yes"]}',
    ("a", "b", "c"): '{classes: ["a", "b", "c"]}',
}


def made(classes: tuple[str, ...], rows: int = 400) -> TrainingData:
    """Rows whose answer depends on two features and on both together; some values are missing."""
    draw = np.random.default_rng(5)
    values = draw.normal(size=(rows, 4)).astype(np.float32)
    raw = 2 * values[:, 0] + values[:, 1] * values[:, 2] + draw.normal(size=rows)
    label = np.digitize(raw, [0.0, 1.5][: max(len(classes) - 1, 0)]) if classes else np.full(rows, -1)
    return TrainingData(NAMES, classes, values, label.astype(np.int64), raw.astype(np.float64))


def packed(model: Any, data: TrainingData) -> Bundle:
    """As retraining packs it."""
    columns = "".join(f"\n    - {{kind: field, of: {name}}}" for name in NAMES)
    spec = PipelineSpec.parse(
        "pipeline: p\nentity: e\nevent_id: i\nevent_time: t\n"
        f"features:\n  version: 1\n  columns:{columns}\ntarget: {TARGETS[data.classes]}\n"
    )
    return pack(model, data.values, spec, inputs=NAMES, truths=data.targets.tolist() if data.classes else None).bundle


def explained(bundle: Bundle, row: Floats32) -> Contributions:
    """The contributions to what the graph answers for this row."""
    scores = Scorer.load(bundle.data, bundle.manifest).score(row[None])[0]
    return contributions(bundle.data, bundle.manifest, row, scores)


def answer(told: Contributions, bundle: Bundle, row: Floats32) -> tuple[float, float]:
    """The score that the sum gives, and that of the graph; of a softmax over three classes the sum alone says none."""
    scores = Scorer.load(bundle.data, bundle.manifest).score(row[None])[0]
    given = float(scores.max()) if len(scores) > 1 else float(scores[0])
    made_of = 1 / (1 + np.exp(-told.total)) if told.scale == "log-odds" else told.total
    return float(made_of), given


FITTED: list[tuple[tuple[str, ...], Any]] = [
    *(((), model) for model in (LinearRegression(), Ridge(), RandomForestRegressor(5, random_state=0))),
    *(
        (("no", "yes"), model)
        for model in (DecisionTreeClassifier(max_depth=4), GradientBoostingClassifier(n_estimators=10))
    ),
    (("no", "yes"), RandomForestClassifier(5, random_state=0)),
    (("a", "b", "c"), RandomForestClassifier(5, random_state=0)),
]
TRAINED = [
    (classes, kind)
    for kind in ("hist-gradient-boosting", "lightgbm", "logistic-regression")
    for classes in TARGETS
    if ("classes" if classes else "value") in trainers().find(kind).learns
]


def _trained(kind: str, data: TrainingData) -> Any:
    return trainers().find(kind)(**({} if "regression" in kind else {"iterations": 10})).fit(data, 0)


def _fitted(classes: tuple[str, ...], model: Any) -> tuple[Bundle, TrainingData]:
    data = made(classes)
    if isinstance(model, str):
        return packed(_trained(model, data), data), data
    return packed(model.fit(data.values, data.targets), data), data


@pytest.mark.parametrize(("classes", "model"), [*FITTED, *TRAINED], ids=str)
def test_contributions_add_up_to_the_score_that_was_given(classes: tuple[str, ...], model: Any) -> None:
    """With the baseline, and through the scale that is named, they give the answer of onnxruntime."""
    bundle, data = _fitted(classes, model)
    for row in data.values[:5]:
        told = explained(bundle, row)
        assert list(told.features) == list(NAMES)
        if told.scale != "logit of a softmax":
            assert answer(told, bundle, row) == pytest.approx((answer(told, bundle, row)[1],) * 2, abs=2e-5)


@pytest.mark.parametrize("kind", ["hist-gradient-boosting", "lightgbm"])
def test_contributions_to_classes_of_a_softmax_differ_as_their_logarithms_do(kind: str) -> None:
    """The sums of two rows that answer one class differ as the sums of the graph do."""
    bundle, data = _fitted(("a", "b", "c"), kind)
    told = explained(bundle, data.values[0])
    assert told.scale == "logit of a softmax"
    model = _trained(kind, data)
    raw: Any = (
        model.predict(data.values[:1], raw_score=True) if kind == "lightgbm" else model._raw_predict(data.values[:1]).T
    )
    assert told.total == pytest.approx(float(np.ravel(raw).max() if raw.shape[-1] == 3 else raw.max()), abs=1e-4)


def test_contributions_of_trees_are_the_shapley_values() -> None:
    """The definition, over all orders in which features of the other rows could be put in place."""
    bundle, data = _fitted(("no", "yes"), RandomForestClassifier(3, max_depth=4, random_state=1))
    row, others = data.values[7], golden_rows(bundle.manifest)[0]
    scorer = Scorer.load(bundle.data, bundle.manifest)
    at = int(scorer.score(row[None])[0].argmax())
    wanted, orders = np.zeros(4), list(permutations(range(4)))
    for order in orders:
        mixed = others.copy()
        before = scorer.score(mixed)[:, at].mean()
        for feature in order:
            mixed[:, feature] = row[feature]
            after = scorer.score(mixed)[:, at].mean()
            wanted[feature] += (after - before) / len(orders)
            before = after
    told = explained(bundle, row)
    np.testing.assert_allclose([*told.features.values()], wanted, atol=1e-5)
    assert told.baseline == pytest.approx(float(scorer.score(others)[:, at].mean()), abs=1e-5)


def test_contributions_of_a_linear_model_are_coefficient_times_value() -> None:
    """On the features as the model scales them; the intercept is the baseline."""
    data = made(())
    model = LinearRegression().fit(data.values, data.targets)
    told = explained(packed(model, data), data.values[3])
    np.testing.assert_allclose([*told.features.values()], model.coef_ * data.values[3], atol=1e-5)
    assert told.baseline == pytest.approx(model.intercept_, abs=1e-5)
    assert (told.method, told.scale) == (LINEAR, "value")


def test_missing_value_contributes_too() -> None:
    """Trees send it one way, and a linear model fills it."""
    for kind in ("hist-gradient-boosting", "logistic-regression"):
        bundle, data = _fitted(("no", "yes"), kind)
        row = data.values[0].copy()
        row[0] = np.nan
        told = explained(bundle, row)
        assert answer(told, bundle, row)[0] == pytest.approx(answer(told, bundle, row)[1], abs=2e-5)


def test_model_that_adds_nothing_up_is_said_to_have_none() -> None:
    """A neural network, and an answer that the bytes do not give."""
    bundle, data = _fitted(("no", "yes"), MLPClassifier((3,), max_iter=300, random_state=0))
    with pytest.raises(ModelError, match="no contributions of features can be told for this model"):
        explained(bundle, data.values[0])
    linear, _ = _fitted((), LinearRegression())
    with pytest.raises(ModelError, match="not what its scores are made of"):
        contributions(linear.data, linear.manifest, data.values[0], np.array([1e6], np.float32))
