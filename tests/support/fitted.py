"""Models as people train them, and rows on which converters have been wrong."""

from typing import Any, Final

import numpy as np

from freshet.contracts.arrays import Floats, Floats32
from freshet.models.packing import Packed
from freshet.models.scorer import Scorer
from freshet.pipeline import PipelineSpec

NAMES: Final = ("amount", "age", "items", "hour")


def pipeline(target: str, names: tuple[str, ...] = NAMES) -> PipelineSpec:
    """A pipeline of these features with this target, such as `{classes: [no, yes]}`."""
    columns = "".join(f"    - {{kind: field, of: {name}}}\n" for name in names)
    return PipelineSpec.parse(
        "pipeline: shop\nentity: who\nevent_id: id\nevent_time: at\nfeatures:\n  version: 1\n"
        f"  columns:\n{columns}target: {target}\n"
    )


def table(count: int = 1500, *, holes: bool = False) -> Floats:
    """Money with cents around 99,000 (neighbours in float32), a plain number, a category, and many zeros; float64."""
    rng = np.random.default_rng(5)
    rows = np.stack(
        [
            np.round(99_000 + rng.integers(0, 200, count) / 100, 2),
            rng.normal(40, 12, count),
            rng.integers(0, 12, count),
            np.where(rng.random(count) < 0.3, 0, rng.normal(0, 5, count)),
        ],
        axis=1,
    )
    return np.where(rng.random(rows.shape) < 0.1, np.nan, rows) if holes else rows


def wanted(rows: Floats) -> Any:
    """A truth about each row that needs every column: True or False."""
    filled = np.nan_to_num(rows, nan=0)
    odd = np.isin(filled[:, 2], [1, 5, 7])
    return (filled[:, 0] > 99_001.005) ^ odd ^ (filled[:, 3] == 0) ^ (filled[:, 1] > 55)


def scores_of(packed: Packed, rows: Any) -> Floats32:
    """What the bundle answers."""
    return Scorer.load(packed.bundle.data, packed.bundle.manifest).score(np.asarray(rows, np.float32))
