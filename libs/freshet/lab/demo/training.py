"""Trains a model on the very features that ingestion computes, and packs it as a bundle."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from freshet.contracts.arrays import Floats32
from freshet.models.bundle import Bundle
from freshet.models.packing import pack
from freshet.operate.operate_error import OperateError
from freshet.pipeline import PipelineSpec

_SAMPLE_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Trained:
    """A packed model, and the estimator that it was made of."""

    bundle: Bundle
    model: Any

    def merit(self, rows: Floats32, labels: list[str]) -> str:
        """How well it answers these rows, in words; they should be none that it was trained on."""
        if self.bundle.manifest.classes:
            return f"{float(self.model.score(rows, labels)):.1%} right"
        return f"R² {float(self.model.score(rows, _numbers(labels))):.2f}"


def train_and_pack(kind: str, rows: Floats32, labels: list[str], spec: PipelineSpec) -> Trained:
    """Train a model of that kind for the pipeline's target and pack it, with the digest of what it was trained on.

    Raises OperateError if these labels give nothing to learn.
    """
    truths = labels if spec.target.classes else _numbers(labels)
    if len(set(truths)) < 2:
        raise OperateError(
            f"all {len(labels):,} rows to train on have the same label: there is nothing to learn. Shuffle the table, "
            "or give it more rows.",
            "usage",
        )
    model = train(kind, rows, truths)
    digest = hashlib.sha256(rows.tobytes() + "\0".join(labels).encode()).hexdigest()
    packed = pack(model, rows[:_SAMPLE_ROWS], spec, lineage={"training_set": digest})
    return Trained(packed.bundle, model)


def train(kind: str, rows: Floats32, truths: Sequence[str] | Sequence[float], seed: int = 0) -> Any:
    """Fit a scikit-learn estimator, a classifier if the truths are text, else a regression; rows may have NaN.

    `linear` is a logistic or ridge regression on scaled features, `trees` histogram gradient boosting.
    """
    from sklearn.ensemble import (  # noqa: PLC0415 - heavy, and an extra of its own
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
    )
    from sklearn.impute import SimpleImputer  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression, Ridge  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    classes = isinstance(truths[0], str)
    if kind == "linear":
        last = LogisticRegression(max_iter=500) if classes else Ridge()
        model = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler(), last)
    else:
        trees = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
        model = trees(max_iter=60, random_state=seed)
    with threadpool_limits(1):  # services work beside it: threads that wait for each other would take ten times as long
        return model.fit(rows, truths)


def _numbers(labels: Sequence[str]) -> list[float]:
    try:
        return [float(label) for label in labels]
    except ValueError as error:
        raise OperateError(f"a label is no number, but the pipeline predicts one: {error}.", "usage") from error
