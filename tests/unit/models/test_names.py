"""Columns are known by the names that a model remembers; by places only where it remembers none."""

from typing import Any

import lightgbm
import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import Bunch

from freshet.models.model_error import ModelError
from freshet.models.names import inputs_of
from freshet.models.original import by_place
from freshet.models.packing import inputs_for, pack
from support.fitted import NAMES, pipeline, scores_of, table, wanted
from support.models import softmax

SPEC = pipeline("{classes: ['no', 'yes']}")
ROWS = table(600).astype(np.float32)
TRUTH = np.where(wanted(table(600)), "yes", "no")
ORDER = [3, 1, 0, 2]


def _remembering(model: Any, names: list[str]) -> Any:
    """What scikit-learn does on a data frame: the fitted estimator keeps the titles."""
    model.feature_names_in_ = np.array(names, object)
    return model


def _fitted(order: list[int]) -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS[:, order], TRUTH)


def test_an_estimators_names_are_put_in_its_order() -> None:
    """The manifest names features in the order in which the model was fitted; workers pick them by name."""
    model = _fitted(ORDER)
    _remembering(model.steps[0][1], [NAMES[at] for at in ORDER])
    assert inputs_for(model, SPEC).names == tuple(NAMES[at] for at in ORDER)
    packed = pack(model, ROWS[:, ORDER], SPEC)
    assert packed.bundle.manifest.inputs == tuple(NAMES[at] for at in ORDER)
    np.testing.assert_allclose(scores_of(packed, ROWS[:, ORDER]), model.predict_proba(ROWS[:, ORDER]), atol=1e-5)


def test_columns_that_are_no_features_are_named() -> None:
    """A pipeline of raw columns learns what it wants, what there is, and what to do."""
    model = _remembering(_fitted(ORDER).steps[0][1], ["hour", "country", "amount", "items"])
    features = ("amount", "country=DE", "country=FR", "items", "hour")
    with pytest.raises(ModelError) as refused:
        inputs_of(model, 4, features, None)
    assert "it was fitted on the columns hour, country, amount, items" in refused.value.detail
    assert "no feature country (did you mean country=DE" in refused.value.detail
    assert "freshet pipeline features" in refused.value.detail


@pytest.mark.parametrize("names", [["Column_0", "Column_1"], ["f0", "f1"], ["0", "1"], ["x0", "x1"]])
def test_names_that_libraries_make_up_are_none(names: list[str]) -> None:
    """They are places; but Column_1 before Column_0 is an order."""
    model = Bunch(feature_names_in_=np.array(names, object))
    assert inputs_of(model, 2, ("a", "b"), None).names == ("a", "b")
    with pytest.raises(ModelError, match="no feature"):
        inputs_of(Bunch(feature_names_in_=np.array(names[::-1], object)), 2, ("a", "b"), None)


def test_places_count_only_where_nothing_else_is_known_and_are_said() -> None:
    """As many columns as features, or those of --columns."""
    found = inputs_for(_fitted(ORDER), SPEC)
    assert found.names == NAMES
    assert "remembers no column names" in found.how
    assert "amount, age, items, hour, in this order" in found.how
    three = LogisticRegression().fit(ROWS[:, :3], TRUTH)
    with pytest.raises(ModelError, match=r"fitted on 3 features, but the pipeline has 4: .* --columns a,b,c"):
        inputs_for(three, SPEC)
    assert inputs_for(three, SPEC, ["hour", "age", "items"]).names == ("hour", "age", "items")
    ready = pipeline("{classes: [legit, fraud]}", ("d", "c", "b", "a"))
    assert inputs_for(softmax(), ready).names == ("d", "c", "b", "a")
    assert inputs_for(softmax(), ready, ["a", "b", "c", "d"]).names == ("a", "b", "c", "d")


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (["hour", "age"], "--columns names 2 features, but it was fitted on 4"),
        (["hour", "age", "items", "shoes"], "but not shoes"),
        (["hour", "age", "items", "items"], "each once"),
        (["amount", "age", "items", "hour"], "it remembers its columns as hour, age, amount, items"),
    ],
)
def test_a_word_that_contradicts_is_refused(told: list[str], why: str) -> None:
    """Features of the pipeline, each once, as many as the model has, and not against the names that it remembers."""
    model = _fitted(ORDER)
    _remembering(model.steps[0][1], [NAMES[at] for at in ORDER])
    with pytest.raises(ModelError, match=why):
        inputs_for(model, SPEC, told)


def test_lightgbms_estimators_remember_names() -> None:
    """LGBMClassifier keeps them in its booster."""
    model = lightgbm.LGBMClassifier(n_estimators=2, verbose=-1, n_jobs=1)
    model.fit(ROWS[:, ORDER], TRUTH, feature_name=[NAMES[at] for at in ORDER])
    assert inputs_for(model, SPEC).names == tuple(NAMES[at] for at in ORDER)


def test_a_transformer_that_picks_columns_by_name_is_packed() -> None:
    """Fitted on a data frame: its names become places among the columns that it remembers."""
    parts = [("scaled", StandardScaler(), [0, 1]), ("filled", SimpleImputer(), [3])]
    model = make_pipeline(ColumnTransformer(parts, remainder="drop"), LogisticRegression()).fit(ROWS[:, ORDER], TRUTH)
    names = [NAMES[at] for at in ORDER]
    picker = model.steps[0][1]
    truth = model.predict_proba(ROWS[:, ORDER])
    picker.transformers_ = [
        (name, step, [names[at] for at in np.atleast_1d(np.arange(4)[columns])])
        for name, step, columns in picker.transformers_
    ]
    picker._columns = [columns for _, _, columns in picker.transformers_]
    _remembering(picker, names)
    assert inputs_for(model, SPEC).names == tuple(names)
    np.testing.assert_allclose(by_place(model).predict_proba(ROWS[:, ORDER]), truth)
    packed = pack(model, ROWS[:, ORDER], SPEC)
    np.testing.assert_allclose(scores_of(packed, ROWS[:, ORDER]), truth, atol=1e-5)
    assert model.steps[0][1].feature_names_in_.tolist() == names  # the user's model is left as it was


def test_an_encoder_that_refuses_strangers_is_refused() -> None:
    """The graph would answer what the original does not."""
    model = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(ROWS[:, [2, 2, 2, 2]], TRUTH)
    with pytest.raises(
        ModelError, match=r"pack_input: the original refuses rows at whole numbers .*encode them .one_hot."
    ):
        pack(model, ROWS[:, [2, 2, 2, 2]], SPEC)
