"""How good answers to the holdout are, as figures by name. Pure."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from freshet.contracts.arrays import Floats, Floats32, Ints
from freshet.outcomes.outcome_rows import OutcomeRows
from freshet.pipeline.gate import METRICS
from freshet.quality.counts import Counts
from freshet.quality.measures import Measures, added, served
from freshet.quality.metrics import Metrics, metrics
from freshet.quality.setting import Setting

_Z: Final = 1.959963984540054


def figures(holdout: OutcomeRows, scores: Mapping[str, Floats32], setting: Setting) -> dict[str, float]:
    """`NAME.METRIC` of each answerer, with `.low` and `.high` of 95 % for accuracy, log_loss and mae.

    `scores` are those of the holdout's rows, (n, outputs) by name. All are compared on the rows that each of them
    answers; `NAME.unanswered` says how many one does not, which is told only if there are such. Of a slice it is
    `NAME.slice.SLICE.METRIC`, with `.rows`. What is not defined is left out.
    """
    found: dict[str, float] = {}
    answered = {name: np.isfinite(each).all(axis=1) for name, each in scores.items()}
    at = np.flatnonzero(np.logical_and.reduce([np.ones(len(holdout), np.bool_), *answered.values()]))
    for name, each in scores.items():
        if missing := int((~answered[name]).sum()):
            found[f"{name}.unanswered"] = float(missing)
        found |= {f"{name}.{metric}": value for metric, value in _of_one(holdout, each, at, setting)}
    return found


def _of_one(holdout: OutcomeRows, scores: Floats32, at: Ints, setting: Setting) -> Iterator[tuple[str, float]]:
    classes = len(setting.classes)
    answer = scores.argmax(axis=1).astype(np.int64) if classes else holdout.answer
    rows = replace(holdout, scores=scores, answer=answer)
    yield from _told(served(rows, at, 0, classes))
    for part in setting.slices:
        inside = at[part.holds(holdout.values[at])]
        yield f"slice.{part.name}.rows", float(inside.size)
        for metric, value in _told(served(rows, inside, 0, classes)):
            yield f"slice.{part.name}.{metric}", value


def _told(measures: Measures) -> Iterator[tuple[str, float]]:
    if not len(measures):
        return
    all_rows = np.arange(len(measures))
    (counts,) = added([Counts.none(measures.classes)], measures, all_rows, np.zeros(len(measures), np.int64))
    found = metrics(counts)
    values = {name: float(getattr(found, name)) for name in METRICS}
    values |= _intervals(found, measures.sums[0])
    yield from ((name, value) for name, value in values.items() if math.isfinite(value))


def _intervals(found: Metrics, losses: Floats) -> dict[str, float]:
    margin = _Z * float(losses.std()) / math.sqrt(len(losses))
    bounds = {
        "accuracy": found.accuracy_interval,
        "log_loss": (found.log_loss - margin, found.log_loss + margin),
        "mae": found.mae_interval,
    }
    return {
        f"{name}.{end}": value
        for name, both in bounds.items()
        for end, value in zip(("low", "high"), both, strict=True)
    }
