"""P1: a prediction is about the very event that its feature vector was made from."""

from collections.abc import Iterator, Mapping

import numpy as np

from freshet.contracts.arrays import Ints
from freshet.contracts.messages import ModelVersion
from freshet.operate.verify.evidence import Predictions, Vectors
from freshet.operate.verify.findings import Finding, finding
from freshet.operate.verify.places import hashed, partitions_of

UNSAID_TOPIC = hashed(bytes(16))
"""Written by a release that did not say which topic it means."""


def chain(predictions: Predictions, vectors: Vectors, models: Mapping[str, ModelVersion]) -> Iterator[Finding]:
    """Compare predictions with the vectors that are still there; what they say of themselves, for all.

    The predictions are those of the present life of the features topic.
    """
    rows, at = read_vectors(predictions, vectors)
    other_topic = predictions.topics[rows] != vectors.topics[at]
    for topics in (predictions.topics[rows], vectors.topics[at]):
        other_topic &= topics != UNSAID_TOPIC
    wrong = (vectors.inputs[at] != predictions.sources[rows]) | other_topic
    yield finding("P1", "predictions name their features' event", len(rows), predictions.ids[rows[wrong]])
    wrong = vectors.event_ids[at] != predictions.event_ids[rows]
    wrong |= vectors.entities[at] != predictions.entities[rows]
    wrong |= vectors.event_times_ms[at] != predictions.event_times_ms[rows]
    yield finding(
        "P1", "predictions carry their features' event id, entity and time", len(rows), predictions.ids[rows[wrong]]
    )
    wrong = partitions_of(predictions.ids) != partitions_of(predictions.inputs)
    yield finding("P1", "predictions lie on their features' partition", len(wrong), predictions.ids[wrong])
    yield _labels(predictions, models)
    finite = "predictions' scores are finite numbers"
    yield finding("P1", finite, len(predictions.ids), predictions.ids[predictions.not_finite])
    # a table of one version has one arm, and none of several was ever issued
    yield finding("P1", "predictions' arm is 0", len(predictions.ids), predictions.ids[predictions.arms != 0])


def read_vectors(predictions: Predictions, vectors: Vectors) -> tuple[Ints, Ints]:
    """Predictions whose feature vector is still there, and the row of that vector for each."""
    by_id = np.argsort(vectors.ids)
    ids = vectors.ids[by_id]
    at = np.searchsorted(ids, predictions.inputs)
    rows = np.flatnonzero(at < len(ids))
    rows = rows[ids[at[rows]] == predictions.inputs[rows]]
    return rows, by_id[at[rows]]


def _labels(predictions: Predictions, models: Mapping[str, ModelVersion]) -> Finding:
    """The label is the class of the highest score, the first of equals, and there is a score for each class."""
    wrong = np.zeros(len(predictions.ids), dtype=bool)
    looked_at = 0
    for code, name in enumerate(predictions.names):
        if name not in models:
            continue
        rows = np.flatnonzero(predictions.versions == code)
        classes = models[name].manifest.classes
        names = np.array([hashed(text) for text in classes] or [hashed("")], dtype=np.int64)
        highest = predictions.highest[rows]
        fits = predictions.widths[rows] == len(names)
        wrong[rows] = ~fits | (names[np.where(fits & bool(classes), highest, 0)] != predictions.labels[rows])
        looked_at += len(rows)
    return finding(
        "P1", "predictions' labels are the classes of their highest scores", looked_at, predictions.ids[wrong]
    )
