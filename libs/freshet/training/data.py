"""What a trainer is given."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from freshet.contracts.arrays import Floats, Floats32, Ints


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """n rows in the order of the labelled log, one for each prediction."""

    names: tuple[str, ...]
    """The features, in the order of the columns of `values`."""
    classes: tuple[str, ...]
    """The pipeline's; none for a regression."""
    values: Floats32
    """(n, width); NaN where a feature has no value."""
    label: Ints
    """(n,), places among `classes`; -1 for a regression."""
    truth: Floats
    """(n,), the true values of a regression; NaN for a class."""

    def __len__(self) -> int:
        return len(self.label)

    @property
    def targets(self) -> Any:
        """(n,), names of classes, or values."""
        return np.array(self.classes)[self.label] if self.classes else self.truth

    @property
    def counts(self) -> Ints:
        """Rows of each class, in the order of `classes`."""
        return np.bincount(self.label, minlength=len(self.classes)) if self.classes else np.zeros(0, np.int64)
