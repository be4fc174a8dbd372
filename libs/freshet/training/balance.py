"""Weights for rare classes, and how to undo their effect, so that the model's probabilities are true ones.

Where p(c) is the true probability, a model that is fitted with the weight w(c) on each row of class c gives q(c), which
is proportional to w(c) * p(c). In logits that is an offset: log q(c) = log p(c) + log w(c) + a term that is the same
for all classes. So each trainer subtracts log w(c) from the constants of its model before it is exported: the published
graph gives p, at no extra cost.
"""

import numpy as np

from freshet.contracts.arrays import Floats
from freshet.training.data import TrainingData


def class_weights(data: TrainingData) -> Floats:
    """A weight for each class: all classes that occur weigh the same in total, and the total stays. Others get 1."""
    counts = data.counts
    there = counts > 0
    weights = np.ones(len(counts))
    weights[there] = len(data) / (there.sum() * counts[there])
    return weights


def logit_shifts(data: TrainingData, labels: list[str]) -> Floats:
    """What to add to a model's logits, given its labels in order.

    One number if there are two labels, else one for each.
    """
    weights = dict(zip(data.classes, class_weights(data).tolist(), strict=True))
    logs = np.log([weights[label] for label in labels])
    return np.array([logs[0] - logs[1]]) if len(labels) == 2 else -logs
