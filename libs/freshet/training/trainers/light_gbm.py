"""LightGBM: boosted trees for many rows."""

from typing import Any, ClassVar

from freshet.training.balance import class_weights, logit_shifts
from freshet.training.boosted_trees import BoostedTrees
from freshet.training.data import TrainingData


class LightGbm(BoostedTrees):
    """`LGBMClassifier`, or `LGBMRegressor` for a value."""

    kind: ClassVar[str] = "lightgbm"

    def fit(self, data: TrainingData, seed: int) -> object:
        """See `Trainer`."""
        import lightgbm  # noqa: PLC0415  (heavy)

        kind: Any = lightgbm.LGBMClassifier if data.classes else lightgbm.LGBMRegressor
        model = kind(
            n_estimators=self.iterations,
            learning_rate=self.learning_rate,
            num_leaves=self.leaves,
            min_child_samples=self.leaf_rows,
            reg_lambda=self.l2,
            random_state=seed,
            n_jobs=1,
            deterministic=True,
            force_col_wise=True,
            verbose=-1,
        )
        if not (self.balance and data.classes):
            return model.fit(data.values, data.targets)
        model.fit(data.values, data.targets, sample_weight=class_weights(data)[data.label])
        _shift(model.booster_, logit_shifts(data, model.classes_.tolist()).tolist())
        return model


def _shift(booster: Any, shifts: list[float]) -> None:
    """Add to each logit by adding to all leaves of its first tree: every row ends in exactly one of them."""
    leaves = [tree["num_leaves"] for tree in booster.dump_model(num_iteration=1)["tree_info"]]
    for tree, (count, shift) in enumerate(zip(leaves, shifts, strict=True)):
        for leaf in range(count):
            booster.set_leaf_output(tree, leaf, booster.get_leaf_output(tree, leaf) + shift)
