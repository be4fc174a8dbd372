"""scikit-learn's gradient boosting over histograms: the default, good on tables, takes missing values as they are."""

from typing import Any, ClassVar

from freshet.training.balance import class_weights, logit_shifts
from freshet.training.boosted_trees import BoostedTrees
from freshet.training.data import TrainingData


class HistGradientBoosting(BoostedTrees):
    """`HistGradientBoostingClassifier`, or `HistGradientBoostingRegressor` for a value."""

    kind: ClassVar[str] = "hist-gradient-boosting"

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
