"""A labelled log on a bus in memory that a model can learn from, and jobs on it."""

import threading
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from freshet.contracts.arrays import Ints
from freshet.contracts.messages import Outcomes
from freshet.outcomes.outcome_rows import REVISED, OutcomeRows
from freshet.retraining.core.train_job import Measure, Measured, Train, Trained
from freshet.retraining.log_reading import measure
from freshet.retraining.training_run import train
from freshet.testing import MemoryPipeline
from support.outcomes import record_of, rows_of

PARTITIONS: Final = 2
RECORD_ROWS: Final = 100
STEP_MS: Final = 1000
SPEC: Final = """
pipeline: p
entity: card
event_id: event_id
event_time: at
features: {{version: 1, columns: [{{kind: field, of: amount}}, {{kind: field, of: age}}, {{kind: field, of: hour}}]}}
target: {target}
slices: [{{name: large, feature: amount, min: 1}}]
"""
CLASSES: Final = ("legit", "fraud")
NEVER: Final = threading.Event()


def spec_text(target: str = "{classes: [legit, fraud]}") -> str:
    """A pipeline of three features."""
    return SPEC.format(target=target)


def learnable(count: int, *, seed: int = 0, late_rows: int = 0, value: bool = False, **columns: Any) -> OutcomeRows:
    """Rows whose class, or value, the first two features tell; labels come so many rows after their predictions."""
    draw = np.random.default_rng(seed)
    values = draw.normal(size=(count, 3)).astype(np.float32)
    raw = values[:, 0].astype(np.float64) - 0.5 * values[:, 1] + 0.3 * draw.normal(size=count)
    values[draw.random((count, 3)) < 0.05] = np.nan
    predicted_ms = STEP_MS * np.arange(count)
    given: dict[str, Any] = {
        "values": values,
        "predicted_ms": predicted_ms,
        "labelled_ms": predicted_ms + STEP_MS * late_rows + STEP_MS // 2,
        "label": np.full(count, -1) if value else (raw > 0.5).astype(np.int64),
        "answer": np.full(count, -1) if value else np.zeros(count, np.int64),
        "truth": raw if value else np.full(count, np.nan),
    }
    if value:
        given["scores"] = np.zeros((count, 1), np.float32)
    return rows_of(count, **(given | columns))


def revised(rows: OutcomeRows, at: int, label: int, labelled_ms: int) -> OutcomeRows:
    """The two rows of a correction of the row at that place."""
    pair = rows.take(np.array([at, at]))
    return rows_of(
        2,
        **{name: getattr(pair, name) for name in ("values", "predicted_ms", "prediction_offset", "scores", "truth")},
        label=np.array([int(rows.label[at]), label]),
        weight=np.array([-1, 1]),
        flags=REVISED,
        labelled_ms=labelled_ms,
    )


def records_of(rows: OutcomeRows, record_rows: int = RECORD_ROWS) -> list[Outcomes]:
    """The rows in records, which are of the partitions in turn; offsets of predictions are unique in each."""
    firsts, records = [0] * PARTITIONS, []
    for number, begin in enumerate(range(0, len(rows), record_rows)):
        part, partition = rows.take(np.arange(begin, min(begin + record_rows, len(rows)))), number % PARTITIONS
        records.append(record_of(part, first_row=firsts[partition], partition=partition))
        firsts[partition] += len(part)
    return records


class Log(MemoryPipeline):
    """The labelled log of pipeline `p`, on a cluster in memory."""

    def __init__(self, *records: Outcomes) -> None:
        super().__init__("retraining", partitions=PARTITIONS)
        self.write(*records)

    def write(self, *records: Outcomes) -> None:
        """Append these, each at a time of its own."""
        for record in records:
            self.cluster.advance(STEP_MS)
            self.tell("outcomes", "0", record)

    def measure(self, before: Measured | None = None) -> Measured:
        """The end of it."""
        return measure(Measure("p", PARTITIONS, before, late=True), self.bus)

    def job(self, cut_row: int, **but: Any) -> Train:
        """A training on all of it, cut there."""
        end = self.measure()
        given: dict[str, Any] = {
            "pipeline": "p",
            "number": 1,
            "spec": spec_text(),
            "training": "t" * 32,
            "from_row": 0,
            "cut_row": cut_row,
            "end_row": end.rows,
            "through": end.through,
            "min_rows": 100,
            "trainer": "logistic-regression",
            "params": {},
            "seed": 7,
            "champion": None,
        }
        return Train(**(given | but))

    def train(self, cut_row: int, **but: Any) -> Trained:
        """What comes of it."""
        return train(self.job(cut_row, **but), self.bus, NEVER)


def scrambled(rows: OutcomeRows, from_row: int, change: Callable[[Ints], Ints] = np.flip) -> OutcomeRows:
    """The same rows with other labels from there on."""
    label = rows.label.copy()
    label[from_row:] = change(1 - label[from_row:])
    return rows_of(len(rows), **{**_columns(rows), "label": label})


def _columns(rows: OutcomeRows) -> dict[str, Any]:
    names = ("values", "predicted_ms", "labelled_ms", "answer", "truth", "scores", "flags", "weight")
    return {name: getattr(rows, name) for name in (*names, "prediction_offset")}
