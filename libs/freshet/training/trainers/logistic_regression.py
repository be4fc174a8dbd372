"""Logistic regression on scaled features: small, quick, and easy to read."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from freshet.training.balance import class_weights, logit_shifts
from freshet.training.data import TrainingData
from freshet.training.trainer import Target, Trainer


class LogisticRegression(Trainer):
    """A missing value becomes the feature's median; each feature is scaled to a mean of 0 and a deviation of 1."""

    kind: ClassVar[str] = "logistic-regression"
    learns: ClassVar[frozenset[Target]] = frozenset({"classes"})
    quick: ClassVar[Mapping[str, object]] = {"iterations": 2}

    strength: float = Field(default=1.0, gt=0)
    """Inverse of the penalty on weights, `C` in scikit-learn: smaller keeps them smaller."""
    iterations: int = Field(default=1000, ge=1)
    """The most steps of the solver; it ends there, converged or not."""
    balance: bool = False
    """Learn as if all classes were equally frequent. The published probabilities are corrected for it."""

    def fit(self, data: TrainingData, seed: int) -> object:
        """See `Trainer`."""
        from sklearn import impute, linear_model, pipeline, preprocessing  # noqa: PLC0415  (heavy)

        last = linear_model.LogisticRegression(C=self.strength, max_iter=self.iterations, random_state=seed)
        model = pipeline.Pipeline(
            [
                ("impute", impute.SimpleImputer(strategy="median", keep_empty_features=True)),
                ("scale", preprocessing.StandardScaler()),
                ("regression", last),
            ]
        )
        if not self.balance:
            return model.fit(data.values, data.targets)
        model.fit(data.values, data.targets, regression__sample_weight=class_weights(data)[data.label])
        last.intercept_ += logit_shifts(data, last.classes_.tolist())
        return model
