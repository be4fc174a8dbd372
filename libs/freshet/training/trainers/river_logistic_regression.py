"""river's online logistic regression: one pass over the log, row by row, the newest rows last."""

import math
from typing import Any, ClassVar, Final

import numpy as np
from pydantic import Field

from freshet.contracts.arrays import Floats
from freshet.training.data import TrainingData
from freshet.training.trainer import Target, Trainer, TrainingError

_ALWAYS: Final = "always"
"""A feature that is 1 in every row: river's regression for several classes has no intercept of its own."""


class RiverLogisticRegression(Trainer):
    """river's `StandardScaler` with its `LogisticRegression`, or its `SoftmaxRegression` for more than two classes.

    A missing value counts as the feature's mean. What it has learned is published as a scikit-learn Pipeline of the
    same numbers: the same formula, in float32.
    """

    kind: ClassVar[str] = "river-logistic-regression"
    learns: ClassVar[frozenset[Target]] = frozenset({"classes"})

    learning_rate: float = Field(default=0.01, gt=0, le=1)
    """How far one row moves weights and intercept."""
    l2: float = Field(default=0.0, ge=0)
    """Penalty on the weights."""

    def fit(self, data: TrainingData, seed: int) -> object:  # noqa: ARG002
        """See `Trainer`. Online learning has nothing to draw: the order is that of the log."""
        scaler, model = self.learned(data)
        there = [name for name, count in zip(data.classes, data.counts.tolist(), strict=True) if count]
        by_class = [model.weights] if len(there) == 2 else [model.weights[name] for name in there]
        width = data.values.shape[1]
        weights = np.array([[each.get(place, 0.0) for place in range(width)] for each in by_class])
        first = [model.intercept] if len(there) == 2 else [each[_ALWAYS] for each in by_class]
        return _as_sklearn(scaler, weights, np.array(first), there)

    def learned(self, data: TrainingData) -> tuple[Any, Any]:
        """river's scaler and model after one pass over the rows; features are named by their place.

        Of two classes the later one in the order of the pipeline is river's True.
        """
        try:
            from river import linear_model, optim, preprocessing  # noqa: PLC0415  (heavy)
        except ModuleNotFoundError as error:
            raise TrainingError(
                "river-logistic-regression needs river, which is not installed: pip install 'freshet[drift]'."
            ) from error
        two = np.count_nonzero(data.counts) == 2
        step = optim.SGD(self.learning_rate)
        scaler: Any = preprocessing.StandardScaler()
        model: Any
        if two:
            model = linear_model.LogisticRegression(optimizer=step, l2=self.l2, intercept_lr=self.learning_rate)
        else:
            model = linear_model.SoftmaxRegression(optimizer=step, l2=self.l2)
        truths = (data.label == data.label.max()).tolist() if two else data.targets.tolist()
        for row, truth in zip(data.values.astype(np.float64).tolist(), truths, strict=True):
            known = {place: value for place, value in enumerate(row) if not math.isnan(value)}
            scaler.learn_one(known)
            scaled = scaler.transform_one(known)
            model.learn_one(scaled if two else scaled | {_ALWAYS: 1.0}, truth)
        return scaler, model


def _as_sklearn(scaler: Any, weights: Floats, intercepts: Floats, classes: list[str]) -> object:
    """The same formula with the same numbers, as far as scikit-learn has them."""
    from sklearn import impute, linear_model, pipeline, preprocessing  # noqa: PLC0415  (heavy)

    width = weights.shape[1]
    means, spread = (np.array([known[place] for place in range(width)]) for known in (scaler.means, scaler.vars))
    blank = np.zeros((len(classes), width))
    filler = impute.SimpleImputer(strategy="mean", keep_empty_features=True).fit(blank)
    filler.statistics_ = means
    scale = preprocessing.StandardScaler().fit(blank)
    scale.mean_, scale.var_, scale.scale_ = means, spread, np.sqrt(np.where(spread > 0, spread, 1.0))
    last = linear_model.LogisticRegression()
    last.classes_, last.intercept_, last.n_features_in_ = np.array(classes), intercepts, width
    last.coef_ = np.where(spread > 0, weights, 0.0)  # to river a constant feature is zero whatever comes
    return pipeline.Pipeline([("impute", filler), ("scale", scale), ("regression", last)])
