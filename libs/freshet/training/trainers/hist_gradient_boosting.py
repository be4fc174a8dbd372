"""scikit-learn's gradient boosting over histograms: the default, good on tables and at home with missing values."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from freshet.training.balance import class_weights, logit_shifts
from freshet.training.data import TrainingData
from freshet.training.trainer import Target, Trainer


class HistGradientBoosting(Trainer):
    """`HistGradientBoostingClassifier`, or `HistGradientBoostingRegressor` for a value."""

    kind: ClassVar[str] = "hist-gradient-boosting"
    learns: ClassVar[frozenset[Target]] = frozenset({"classes", "value"})
    quick: ClassVar[Mapping[str, object]] = {"iterations": 2}

    iterations: int = Field(default=100, ge=1, le=5000)
    """Trees, or trees of each class."""
    learning_rate: float = Field(default=0.1, gt=0, le=1)
    """How much of each tree counts."""
    leaves: int = Field(default=31, ge=2, le=1024)
    """Most leaves of a tree."""
    leaf_rows: int = Field(default=20, ge=1)
    """Fewest rows of a leaf."""
    l2: float = Field(default=0.0, ge=0)
    """Penalty on the leaves' values."""
    balance: bool = False
    """Learn as if all classes were equally frequent. The published probabilities are corrected for it."""

    def fit(self, data: TrainingData, seed: int) -> object:
        """See `Trainer`."""
        from sklearn.ensemble import (  # noqa: PLC0415  (heavy)
            HistGradientBoostingClassifier,
            HistGradientBoostingRegressor,
        )

        kind: Any = HistGradientBoostingClassifier if data.classes else HistGradientBoostingRegressor
        model = kind(
            max_iter=self.iterations,
            learning_rate=self.learning_rate,
            max_leaf_nodes=self.leaves,
            min_samples_leaf=self.leaf_rows,
            l2_regularization=self.l2,
            early_stopping=False,
            random_state=seed,
        )
        if not (self.balance and data.classes):
            return model.fit(data.values, data.targets)
        model.fit(data.values, data.targets, sample_weight=class_weights(data)[data.label])
        model._baseline_prediction += logit_shifts(data, model.classes_.tolist())
        return model
