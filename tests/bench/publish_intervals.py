"""How much more often training anew is worth: accuracy against the interval, written as a table into docs/streams.md.

In memory, without a Kafka: features as ingestion computes them, the default trainer as retraining calls it, its model
asked as it was fitted (what is published answers the same: packing checks that). Each model learns from all labels
known so far or from the newest, and answers from the very next row on: training and rollout take no time, and there is
no gate. So it is what retraining could give at best. The first tenth of a table trains the first model and is not
counted; no row is answered by a model that knows its label.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from freshet.contracts.arrays import Floats32, Ints
from freshet.lab.demo.served_table import WARM_UP_SHARE
from freshet.operate.tables.events import Events
from freshet.operate.tables.features import feature_rows
from freshet.operate.tables.new_pipeline import Roles, guess_from
from freshet.operate.tables.table import Table
from freshet.operate.tables.table_events import CsvEvents
from freshet.pipeline import PipelineSpec
from freshet.pipeline.catalogue import trainers
from freshet.training.data import TrainingData

EVERY: Final = (20_000, 5_000, 1_000, 250)
LATE: Final = (0, 500)
WINDOWS: Final = (1 << 62, 5_000)
"""A model learns from so many of the newest labels."""
TRAINER: Final = "hist-gradient-boosting"
DOCUMENT: Final = Path(__file__).parents[2] / "docs/streams.md"
_BEGIN, _END = "<!-- made by `make intervals` -->", "<!-- end -->"


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """A table as features and classes."""

    name: str
    names: tuple[str, ...]
    classes: tuple[str, ...]
    values: Floats32
    label: Ints

    @classmethod
    def of(cls, path: Path, label: str) -> "Stream":
        """The table of this file, as a pipeline that is guessed from it sees it."""
        guess = guess_from(Table(path), "guessed", label, Roles(), now_ms=int(time.time() * 1000))
        spec, schema = PipelineSpec.parse(guess.pipeline), json.loads(guess.event)
        values, texts = feature_rows(spec, schema, Events.joined(list(CsvEvents(path, spec, schema, label=label))))
        known = np.array([bool(text) for text in texts])
        places = [spec.target.classes.index(text) for text in texts if text]
        name = path.name.removesuffix(".gz").removesuffix(".csv")
        return cls(name, spec.feature_names, spec.target.classes, values[known], np.array(places, np.int64))

    def rows(self, first: int, end: int) -> TrainingData:
        """These as what a trainer gets."""
        truth = np.full(end - first, np.nan)
        return TrainingData(self.names, self.classes, self.values[first:end], self.label[first:end], truth)


@dataclass(slots=True, eq=False)
class Models:
    """Models of one stream by how many of its labels they know; each is fitted once, for all intervals and delays."""

    stream: Stream
    window: int
    cpu_s: dict[int, float]
    _answers: dict[int, Ints]

    def answers(self, known: int, least: int) -> Ints:
        """What the model that knows so many labels says to all rows from `known` to `least`."""
        if known not in self._answers:
            began = time.process_time()
            fitted: Any = trainers().find(TRAINER)().fit(self.stream.rows(max(0, known - self.window), known), seed=0)
            self.cpu_s[known] = time.process_time() - began
            places = {name: place for place, name in enumerate(self.stream.classes)}
            said = fitted.predict(self.stream.values[known:least])
            self._answers[known] = np.array([places[text] for text in said.tolist()], np.int64)
        return self._answers[known]


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the table."""

    every: int
    models: int
    right: Mapping[tuple[int, int], float]
    """By labels that a model learns from at most, and by delay."""
    cpu_s: Mapping[int, float]
    """Of all fits, by labels that a model learns from at most."""


def takeovers(rows: int, every: int, late: int) -> Iterator[tuple[int, int, int]]:
    """Of each model how many labels it knows, and the rows that it answers; nothing of the first tenth is answered."""
    first = int(rows * WARM_UP_SHARE)
    boundaries = [first, *range(first + every, rows, every)]
    begins = [first, *(boundary + late for boundary in boundaries[1:])]
    ends = [*begins[1:], rows]
    for boundary, begin, end in zip(boundaries, begins, ends, strict=True):
        if begin < rows:
            yield boundary, begin, min(end, rows)


def measured(stream: Stream, everies: Sequence[int] = EVERY) -> list[Result]:
    """A line without any training anew, whose interval is 0, and one for each interval."""
    total, first = len(stream.label), int(len(stream.label) * WARM_UP_SHARE)
    windows = {window: Models(stream, window, {}, {}) for window in WINDOWS}
    found = []
    for every in (0, *everies):
        right, cpu_s, count = {}, {}, 0
        for window, models in windows.items():
            for late in LATE:
                wrong = 0
                for known, begin, end in takeovers(total, every or total, late):
                    said = models.answers(known, total)[begin - known : end - known]
                    wrong += int((said != stream.label[begin:end]).sum())
                right[window, late] = 1 - wrong / (total - first)
            used = [known for known, _, _ in takeovers(total, every or total, 0)]
            count, cpu_s[window] = len(used), sum(models.cpu_s[known] for known in used)
        found.append(Result(every, count, right, cpu_s))
    return found


def baselines(stream: Stream, late: int) -> tuple[float, float]:
    """How often the newest label known is right, and the class that was commonest in the labels known."""
    label, first = stream.label, int(len(stream.label) * WARM_UP_SHARE)
    rows = np.arange(first, len(label))
    counts = np.cumsum(np.eye(len(stream.classes), dtype=np.int64)[label], axis=0)
    newest = rows - 1 - late
    no_change = float((label[newest] == label[rows]).mean())
    return no_change, float((counts[newest].argmax(axis=1) == label[rows]).mean())


def table(streams: Sequence[tuple[Stream, Sequence[Result]]]) -> str:
    """All of it in Markdown."""
    lines = [
        "| stream | a model every | models | labels 0 late: from all | from 5,000 | labels 500 late: from all | "
        "from 5,000 | CPU of all fits: from all | from 5,000 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for stream, results in streams:
        for result in results:
            every = f"{result.every:,} labels" if result.every else "never again"
            right = [f"{result.right[window, late]:.2%}" for late in LATE for window in WINDOWS]
            cpu = [f"{result.cpu_s[window]:.0f} s" for window in WINDOWS]
            lines.append("| " + " | ".join([stream.name, every, str(result.models), *right, *cpu]) + " |")
        for at, name in enumerate(("the newest label known", "the commonest class so far")):
            early, late = (f"{baselines(stream, late)[at]:.2%}" for late in LATE)
            lines.append(f"| {stream.name} | *{name}* | – | {early} | – | {late} | – | – | – |")
    return "\n".join(lines)


def main(tables: Sequence[str]) -> None:
    """Measure the tables, each named as FILE:LABEL, and write what came of it."""
    if not tables:
        sys.exit("name tables: make intervals TABLES='one.csv.gz:label other.csv:label'")
    streams = []
    for named in tables:
        path, _, label = named.rpartition(":")
        stream = Stream.of(Path(path), label)
        streams.append((stream, measured(stream)))
    text = DOCUMENT.read_text(encoding="utf-8")
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    assert begin, f"{DOCUMENT} has lost its mark."
    assert end, f"{DOCUMENT} has lost its mark."
    DOCUMENT.write_text(f"{before}{begin}\n{table(streams)}\n{end}{after}", encoding="utf-8")
    print(table(streams))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
