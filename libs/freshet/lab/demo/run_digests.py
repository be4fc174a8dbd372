"""Digests of what a run gave, without its times and places: two runs that did the same have the same ones."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from freshet.contracts.evaluation_message import Evaluation
from freshet.contracts.messages import Alarm, ModelVersion
from freshet.lab.demo.answer_book import AnswerBook
from freshet.operate.training_runs import Run


def digests(
    book: AnswerBook,
    models: Mapping[str, ModelVersion],
    runs: Sequence[Run],
    evaluations: Iterable[Evaluation],
    alarms: Iterable[Alarm],
) -> dict[str, str]:
    """By what it is about, SHA-256 in short.

    `models` are the bytes of all versions; `answers` which version said what of which event, in the order of the
    labelled log. Left out is what names times and offsets, among them the ids of trainings and data sets: a
    transaction more or less moves every offset behind it.
    """
    found = {
        "models": [[version, model.manifest.digest] for version, model in sorted(models.items())],
        "answers": [list(book.answers[row.partition, row.offset]) for row in book.log],
        "trainings": [_training(run) for run in runs],
        "evaluations": sorted(_evaluation(one) for one in evaluations if one.view == "arrival"),
        "alarms": [[one.detector, one.level, one.cause, one.test_from, one.test_to] for one in alarms],
    }
    return {name: _digest(value) for name, value in found.items()}


def _training(run: Run) -> list[Any]:
    last = run.last
    return [
        last.trigger,
        last.from_row,
        last.cut_row,
        last.end_row,
        last.rows,
        last.holdout_rows,
        last.digest,
        last.gate,
    ]


def _evaluation(one: Evaluation) -> list[Any]:
    return [one.series, one.first_row, one.end_row, one.rows, one.confusion.hex(), sorted(one.versions.items())]


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
