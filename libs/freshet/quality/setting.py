"""The parts of a pipeline's specification that quality depends on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from freshet.contracts.arrays import Bools, Floats32
from freshet.pipeline import PipelineSpec


@dataclass(frozen=True, slots=True)
class SliceRange:
    """The rows in which one feature has a value in [low, high)."""

    name: str
    feature: int
    """The index of the feature in a row's values."""
    low: float
    high: float

    def holds(self, values: Floats32) -> Bools:
        """Which of these rows (n, width) are in it. Rows without a value of the feature, or from before it existed, are
        not.
        """
        if self.feature >= values.shape[1]:
            return np.zeros(len(values), np.bool_)
        column = values[:, self.feature].astype(np.float64)
        return (column >= self.low) & (column < self.high)


@dataclass(frozen=True, slots=True)
class Setting:
    """One specification of a pipeline. Between specifications the classes never change; slices may."""

    classes: tuple[str, ...]
    """None for a regression."""
    slices: Sequence[SliceRange]
    horizon_ms: int
    """No label comes later than this after its prediction."""
    partitions: int = 1


def setting_of(spec: PipelineSpec) -> Setting:
    """The setting of a specification."""
    places = {name: place for place, name in enumerate(spec.feature_names)}
    slices = tuple(
        SliceRange(
            part.name,
            places[part.feature],
            -np.inf if part.min is None else part.min,
            np.inf if part.below is None else part.below,
        )
        for part in spec.slices
    )
    return Setting(spec.target.classes, slices, spec.label.horizon.ms, spec.partitions)
