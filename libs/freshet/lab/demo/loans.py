"""Loan applications without end: river's Agrawal generator as events of the shipped `loans` pipeline."""

import re
import shutil
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from freshet.avro import Column, Strings
from freshet.avro.own_schemas import Schema
from freshet.operate.tables.events import Events, first

_APPLICANTS = 500
_ROWS = 200
_BY_AGE, _BY_AGE_AND_SALARY = 0, 1  # two of Agrawal's rules
_RETRAINING = """
retraining:
  triggers:
    - {kind: alarm}
  min_rows: 6000
  holdout: 0.5       # labels are late: a model is tried on predictions made after the last label that it learned from
  cool_down_rows: 50000
  gate:
    - {metric: accuracy, not_worse_by: 0}
    - {metric: calibration_error, at_most: 0.1}
"""
_TYPES = {"double": np.float64, "float": np.float32, "long": np.int64, "int": np.int32}


class Applications:
    """Batches of applications with their labels, for ever; the same seed gives the same stream."""

    def __init__(self, schema: Schema, seed: int, *, name: str = "live") -> None:
        from river.datasets import synth  # noqa: PLC0415 - heavy, and an extra of its own

        self._generator = synth.Agrawal(classification_function=_BY_AGE, seed=seed)
        self._fields = {field["name"]: field["type"] for field in schema["fields"]}
        self._name = name

    def change_rule(self) -> None:
        """From the next batch on it is decided by age and salary; the applications are like before."""
        self._generator.classification_function = _BY_AGE_AND_SALARY

    def __iter__(self) -> Iterator[Events]:
        """From the first one on."""
        rows, done = iter(self._generator), 0
        while True:
            some = list(islice(rows, _ROWS))
            labels = ["declined" if label else "approved" for _, label in some]
            yield Events(_columns(some, self._fields, done, self._name), labels)
            done += len(some)


def folder_with_retraining(loans: Path, into: Path) -> Path:
    """A copy of the shipped pipeline `loans` in which an alarm leads to a training, and a gate to its rollout."""
    shutil.copytree(loans, into, dirs_exist_ok=True)
    written = into / "pipeline.yaml"
    text = written.read_text(encoding="utf-8")
    gated = re.sub("policy: immediate.*", "policy: gated  # what passes its gate answers; all else waits", text)
    written.write_text(gated + _RETRAINING, encoding="utf-8")
    return into


def sample(schema: Schema, rows: int, seed: int) -> Events:
    """A training set: applications that are not in the live stream."""
    return Events.joined(list(first(Applications(schema, seed, name="training"), rows)))


def _columns(
    rows: list[tuple[Mapping[str, Any], int]], fields: Mapping[str, Any], first: int, name: str
) -> dict[str, Column]:
    numbers: dict[str, Column] = {
        field: np.array([row[field] for row, _ in rows], dtype=_TYPES[kind])
        for field, kind in fields.items()
        if isinstance(kind, str) and kind in _TYPES
    }
    at = range(first, first + len(rows))
    return {
        **numbers,
        "event_id": Strings.from_list([f"{name}-{row:08d}" for row in at]),
        "applicant": Strings.from_list([f"applicant-{row * 7919 % _APPLICANTS:03d}" for row in at]),
    }
