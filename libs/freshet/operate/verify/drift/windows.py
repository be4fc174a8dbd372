"""How a specification wants labels joined, as the judge reads it: on its own, not with the join's code."""

from math import nan
from typing import NamedTuple

from freshet.pipeline import PipelineSpec


class Windows(NamedTuple):
    """How far label and prediction may lie apart, in ms between their appends; `means` is an absent label's value."""

    horizon: int
    grace: int
    wait: int
    absent_after: int | None = None
    means: float = 0.0

    @property
    def span(self) -> int:
        """A label that comes later has no prediction any more."""
        return self.horizon + self.grace

    @property
    def reach(self) -> int:
        """A second prediction of an id within it gets no label."""
        return self.span + self.wait

    @property
    def close_after(self) -> int:
        """When a prediction without label has expired, or its absence is one."""
        return self.horizon if self.absent_after is None else self.absent_after


def value_of(text: str, classes: tuple[str, ...]) -> float:
    """A class by its place, or the number that is meant; NaN for what is neither."""
    if classes:
        return float(classes.index(text)) if text in classes else nan
    try:
        return float(text)
    except ValueError:
        return nan


def windows_of(spec: PipelineSpec) -> Windows:
    """What a specification says."""
    label = spec.label
    after = None if label.absent_after is None else label.absent_after.ms
    means = value_of(label.means, spec.target.classes) if label.means else 0.0
    return Windows(label.horizon.ms, label.grace.ms, label.wait.ms, after, means)
