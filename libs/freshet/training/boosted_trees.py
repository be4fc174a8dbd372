"""What trainers of boosted trees have in common: their parameters, whatever each library calls them."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from freshet.training.trainer import Target, Trainer


class BoostedTrees(Trainer):
    """A base without a `kind`: each library is a trainer of its own."""

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
