"""Quality counted again in the plainest way: answers from their topic, truths from the table, row by row.

It shares no code with drift's services. Of the labelled log it takes only which row comes after which, and when each
answer and label was written.
"""

import math
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from freshet.lab.demo.answer_book import AnswerBook
from freshet.operate.quality.series_quality import SERVED, VERSION, Quality, SeriesQuality
from freshet.quality.known import MAJORITY, NO_CHANGE, REACH_ROWS

_SAME: Final = 1e-9
"""Sums of a regression's errors may differ by so much of themselves: they are added up in another order."""

Pairs = list[tuple[str, str]]
"""Truth and answer of rows."""


class Compared(NamedTuple):
    """What came of comparing evaluations with the recount."""

    series: int
    rows: int
    """Of what was served."""
    known_before: int
    """Labels that were written before the prediction that they are about."""
    differences: tuple[str, ...]

    @property
    def text(self) -> str:
        """In a sentence or more."""
        if not self.series:
            return "No evaluation was there to be counted again."
        if not self.differences:
            return (
                f"Counted again, row by row, from the predictions and the table: {self.series} series, {self.rows:,} "
                f"rows of what was served; freshet.evaluations say exactly the same.{self._left_out}"
            )
        return "Counted again, freshet.evaluations are wrong:\n  " + "\n  ".join(self.differences)

    @property
    def _left_out(self) -> str:
        if not self.known_before:
            return ""
        return (
            f" {self.known_before:,} labels more are left out, as everywhere in quality: each of them was sent before "
            "its event was answered."
        )


def recount(book: AnswerBook, truths: Mapping[str, str], classes: Sequence[str]) -> dict[str, Pairs]:
    """By series, truth and answer of each row that counts, in the order of the log. `truths` are by event id."""
    found: dict[str, Pairs] = defaultdict(list)
    known_ms: list[int] = []
    labels: list[str] = []
    commonest: list[str] = []
    seen: Counter[str] = Counter()
    total = 0.0
    for at, row in enumerate(book.log):
        answer = book.answers[row.partition, row.offset]
        truth = truths[answer.event]
        if not row.known_before:
            found[SERVED].append((truth, answer.said))
            found[VERSION + answer.version].append((truth, answer.said))
            last = bisect_left(known_ms, row.predicted_ms) - 1
            if last >= 0 and at - last <= REACH_ROWS:
                found[NO_CHANGE].append((truth, labels[last]))
                found[MAJORITY].append((truth, commonest[last]))
        known_ms.append(max(row.labelled_ms, known_ms[-1] if known_ms else 0))
        labels.append(truth)
        if classes:
            seen[truth] += 1
            commonest.append(max(classes, key=seen.__getitem__))
        else:
            total += float(truth)
            commonest.append(repr(total / (at + 1)))
    return found


def compared(quality: Quality, counted: Mapping[str, Pairs], *, known_before: int) -> Compared:
    """Each series of the evaluations but slices, held against the first rows of the recount, as many as it has.

    `known_before` is only passed on.
    """
    series = [one for one in quality.series if one.name in counted or not one.name.startswith("slice:")]
    differences = [text for one in series for text in _differences(one, quality.classes, counted.get(one.name, []))]
    served = next((one.counts.rows for one in series if one.name == SERVED), 0)
    return Compared(len(series), served, known_before, tuple(differences))


def _differences(one: SeriesQuality, classes: Sequence[str], pairs: Pairs) -> list[str]:
    rows = one.counts.rows
    if len(pairs) < rows:
        return [f"{one.name} has {rows:,} rows, and the recount {len(pairs):,}."]
    if not classes:
        errors = math.fsum(abs(float(truth) - float(said)) for truth, said in pairs[:rows])
        told = one.metrics.mae * rows
        same = math.isclose(told, errors, rel_tol=_SAME)
        return [] if same else [f"{one.name}: errors add up to {told!r}, and in the recount to {errors!r}."]
    counts = Counter(pairs[:rows])
    expected = [[counts[truth, said] for said in classes] for truth in classes]
    told_counts = one.counts.confusion.tolist()
    return [] if told_counts == expected else [f"{one.name}: {told_counts}, and in the recount {expected}."]
