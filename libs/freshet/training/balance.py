"""Weights for rare classes, and how to take them back, so that a model's probabilities are those of the world.

A model that is fitted with the weight w(c) on each row of class c says q(c), in proportion to w(c) * p(c). In logits
that is an offset: log q(c) = log p(c) + log w(c) + what is the same for all classes. So each trainer subtracts log w(c)
from the constants of its model before it is exported: the published graph says p, and costs nothing more.
"""

import numpy as np

from freshet.contracts.arrays import Floats
from freshet.training.data import TrainingData


def class_weights(data: TrainingData) -> Floats:
    """One for each class: with it all classes that occur weigh alike, and all rows as much as without. 1 for others."""
    counts = data.counts
    there = counts > 0
    weights = np.ones(len(counts))
    weights[there] = len(data) / (there.sum() * counts[there])
    return weights


def logit_shifts(data: TrainingData, labels: list[str]) -> Floats:
    """What to add to a model's logits, given its labels in its order: one number for two labels, else one for each."""
    weights = dict(zip(data.classes, class_weights(data).tolist(), strict=True))
    logs = np.log([weights[label] for label in labels])
    return np.array([logs[0] - logs[1]]) if len(labels) == 2 else -logs
