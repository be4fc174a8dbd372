"""Trains a model on events with the very features that ingestion computes, and packs it as a bundle."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from freshet.contracts.arrays import Floats32
from freshet.contracts.pipeline import PipelineSpec
from freshet.contracts.schemas import Schema
from freshet.local.load import Events
from freshet.models.bundle import Bundle
from freshet.models.pack import pack
from freshet.numerics.features import FeatureRow

_SAMPLE_ROWS = 1000


def feature_rows(spec: PipelineSpec, schema: Schema, events: Events) -> tuple[Floats32, list[str]]:
    """Features (float32, rows × features) and labels of the events whose features are finite or NaN.

    The event time need not be there yet: features of time are those of now.
    """
    columns = dict(events.columns)
    columns.setdefault(spec.event_time, np.zeros(len(events), dtype=np.int64))
    values, refused = FeatureRow(spec, schema).compute(columns)
    kept = np.setdiff1d(np.arange(len(values)), [refusal.row for refusal in refused])
    labels = events.labels or []
    return values[kept], [labels[row] for row in kept.tolist()]


@dataclass(frozen=True, slots=True)
class Trained:
    """A packed model, and the share of its training rows that it gets right."""

    bundle: Bundle
    accuracy: float


def train_and_pack(kind: str, rows: Floats32, labels: list[str], spec: PipelineSpec) -> Trained:
    """Train a classifier of that kind and pack it, with the digest of what it was trained on."""
    model = train(kind, rows, labels)
    digest = hashlib.sha256(rows.tobytes() + "\0".join(labels).encode()).hexdigest()
    packed = pack(model, rows[:_SAMPLE_ROWS], spec, lineage={"training_set": digest})
    return Trained(packed.bundle, float(np.mean(model.predict(rows) == np.array(labels))))


def train(kind: str, rows: Floats32, labels: list[str], seed: int = 0) -> Any:
    """Fit a scikit-learn classifier: `linear` (scaled logistic regression) or `trees` (histogram gradient boosting)."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415 - heavy, and an extra of its own
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    if kind == "linear":
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(rows, labels)
    return HistGradientBoostingClassifier(max_iter=60, random_state=seed).fit(rows, labels)
