"""LightGBM: boosted trees for many rows."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from freshet.training.balance import class_weights, logit_shifts
from freshet.training.data import TrainingData
from freshet.training.trainer import Target, Trainer


class LightGbm(Trainer):
    """`LGBMClassifier`, or `LGBMRegressor` for a value."""

    kind: ClassVar[str] = "lightgbm"
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
    """Add to the logits, by way of all leaves of the first tree of each of them: every row meets one of these."""
    leaves = [tree["num_leaves"] for tree in booster.dump_model(num_iteration=1)["tree_info"]]
    for tree, (count, shift) in enumerate(zip(leaves, shifts, strict=True)):
        for leaf in range(count):
            booster.set_leaf_output(tree, leaf, booster.get_leaf_output(tree, leaf) + shift)
