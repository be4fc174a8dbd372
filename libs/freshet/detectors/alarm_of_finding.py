"""Makes an alarm of a finding: an id that a replay gives again, the features offsets where it began, and its cause."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, Self

import numpy as np

from freshet.contracts.arrays import Bools, Floats, Ints
from freshet.contracts.messages import Alarm
from freshet.detectors.alarming_part import AlarmingPart
from freshet.detectors.detector import Detector, Finding

KEPT: Final = 4096
"""How many of the newest observed rows are kept. Of a longer window only these rows are described."""
_ENOUGH: Final = 20
"""How many rows of earlier epochs it takes to say whether those got worse, too."""
_NEARLY_ALL: Final = 0.75
_EPOCHS_TOLD: Final = 8

Cause = Literal["world", "own_rollout", "data_quality", "unknown"]


class Circumstances(NamedTuple):
    """What an alarm says beside its finding."""

    since: dict[str, int]
    """By partition, the first offset of the change."""
    attribution: dict[str, float]
    """What it consists of, with the share of each."""
    epochs: tuple[int, ...]
    cause: Cause


@dataclass(frozen=True, slots=True, eq=False)
class Recent:
    """The newest observed rows."""

    row: Ints
    partition: Ints
    features_offset: Ints
    epoch: Ints
    error: Floats

    @classmethod
    def none(cls) -> Self:
        """The recent rows of an empty log."""
        nothing = np.zeros(0, np.int64)
        return cls(nothing, nothing, nothing, nothing, np.zeros(0))

    def then(self, more: "Recent") -> "Recent":
        """These rows with more appended."""
        return Recent(*(np.concatenate(pair) for pair in zip(self._columns(), more._columns(), strict=True)))

    def take(self, at: Bools | Ints | slice) -> "Recent":
        """These rows of it."""
        return Recent(*(column[at] for column in self._columns()))

    def values(self) -> list[Any]:
        """For a checkpoint."""
        return [column.tolist() for column in self._columns()]

    @classmethod
    def of(cls, values: list[Any]) -> Self:
        """The object that gave these values."""
        row, partition, features_offset, epoch = (np.array(column, np.int64) for column in values[:-1])
        return cls(row, partition, features_offset, epoch, np.array(values[-1], np.float64))

    def _columns(self) -> tuple[Any, ...]:
        return self.row, self.partition, self.features_offset, self.epoch, self.error


def alarm_of(pipeline: str, detector: Detector, finding: Finding, recent: Recent, at_ms: int) -> Alarm:
    """The alarm, as the first of its episode. `recent` must hold the rows up to the end of the test window."""
    first, end = np.searchsorted(recent.row, finding.test).tolist()
    oldest = max(0, end - KEPT)  # whatever else is there is so only because of how batches were cut
    first = max(first, oldest)
    test = recent.take(slice(first, end))
    reference = recent.take(slice(max(oldest, 2 * first - end), first))
    cause = "data_quality" if finding.data_quality else _cause(reference, test)
    around = Circumstances(_since(test), _errors_by_epoch(test), tuple(np.unique(test.epoch).tolist()), cause)
    return first_alarm(pipeline, detector, finding, around, at_ms)


def first_alarm(pipeline: str, detector: AlarmingPart, finding: Finding, around: Circumstances, at_ms: int) -> Alarm:
    """The alarm of any finding, as the first of its episode."""
    number = alarm_id(pipeline, detector, finding)
    return Alarm(
        id=number,
        pipeline=pipeline,
        detector=detector.kind,
        level=finding.level,
        params=detector.parameters,
        subject=finding.subject,
        statistic=finding.statistic,
        threshold=finding.threshold,
        effect=finding.effect,
        reference_from=finding.reference[0],
        reference_to=finding.reference[1],
        test_from=finding.test[0],
        test_to=finding.test[1],
        through=finding.offset,
        since=around.since,
        attribution=around.attribution,
        epochs=around.epochs,
        cause=around.cause,
        state_from=finding.state_from,
        episode=number,
        at_ms=at_ms,
        text=finding.text,
    )


def alarm_id(pipeline: str, detector: AlarmingPart, finding: Finding) -> str:
    """32 hex digits: the same rows and parameters always give the same id."""
    parts = [
        pipeline,
        detector.kind,
        detector.parameters,
        finding.subject,
        finding.level,
        finding.test[1],
        finding.state_from,
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _since(test: Recent) -> dict[str, int]:
    partitions, firsts = np.unique(test.partition, return_index=True)
    return {str(number): int(test.features_offset[at]) for number, at in zip(partitions, firsts, strict=True)}


def _errors_by_epoch(test: Recent) -> dict[str, float]:
    """The share of the test window's errors that each epoch has, for the epochs with most of them."""
    total = float(test.error.sum())
    if not total:
        return {}
    epochs, which = np.unique(test.epoch, return_inverse=True)
    shares = np.bincount(which, test.error) / total
    most = np.argsort(-shares, kind="stable")[:_EPOCHS_TOLD].tolist()
    return {f"epoch {epochs[at]}": float(shares[at]) for at in most}


def _cause(reference: Recent, test: Recent) -> Cause:
    """Our own rollout if only epochs that are new since the reference window got worse; else the world."""
    if not len(reference.row) or not len(test.row):
        return "unknown"
    ours = np.isin(test.epoch, _new_epochs(reference, test))
    if not ours.any():
        return "world"
    if np.count_nonzero(~ours) < _ENOUGH:
        return "own_rollout"
    middle = (reference.error.mean() + test.error.mean()) / 2
    return "world" if test.error[~ours].mean() > middle else "own_rollout"


def _new_epochs(reference: Recent, test: Recent) -> Ints:
    """Epochs of which all or nearly all rows lie in the test window."""
    epochs, which = np.unique(np.concatenate([reference.epoch, test.epoch]), return_inverse=True)
    before = np.bincount(which[: len(reference.epoch)], minlength=len(epochs))
    inside = np.bincount(which[len(reference.epoch) :], minlength=len(epochs))
    new: Ints = epochs[(epochs >= reference.epoch.max()) & (inside >= _NEARLY_ALL * (before + inside))]
    return new
