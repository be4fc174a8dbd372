"""Sizes of what converters write: known, with our rules where onnx has none."""

from typing import Any

import numpy as np
import pytest
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import AdaBoostRegressor, RandomForestClassifier, StackingClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import Normalizer
from sklearn.svm import SVC, LinearSVC

from freshet.models.contract import Limits
from freshet.models.shapes import check_sizes

ESTIMATORS = [
    AdaBoostRegressor(n_estimators=3),
    CalibratedClassifierCV(LinearSVC()),
    Normalizer(),
    RandomForestClassifier(3),
    RidgeClassifier(),
    SVC(probability=True),
    StackingClassifier([("a", LogisticRegression()), ("b", GaussianNB())]),
]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def test_what_converters_write_has_known_sizes(estimator: Any) -> None:
    """Operators without a rule in onnx, one after the other and as the graph's output, refuse no honest model."""
    rows = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    fitted = estimator.fit(rows, (rows[:, 0] + rows[:, 1] > 0).astype(int))
    options = {id(fitted): {"zipmap": False}} if hasattr(fitted, "predict_proba") else None
    opsets = {"": 17, "ai.onnx.ml": 3}
    kind = [("rows", FloatTensorType([None, 4]))]
    model = convert_sklearn(fitted, initial_types=kind, target_opset=opsets, options=options)
    check_sizes(model, "rows", "0" * 64, Limits())
