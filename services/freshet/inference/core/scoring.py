"""Answers a batch, each group of its partitions with one version, and judges scores before anything is published."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from freshet.contracts.arrays import Floats32, Ints
from freshet.contracts.batch import Batch
from freshet.contracts.logic import DeadLetter
from freshet.contracts.position import Position
from freshet.inference.core.crash_blame import CrashBlame, GuardedCalls
from freshet.inference.core.epoch_rules import EpochRules, PositionAnswerer
from freshet.inference.core.positions import Positions
from freshet.inference.core.prediction_writer import Answers
from freshet.inference.core.resident_models import ResidentModels
from freshet.inference.core.vectors import Vectors
from freshet.models.input_columns import holes_of
from freshet.models.model_error import ModelError

FAILED_ROWS: Final = 5
FAILED_SHARE: Final = 0.01
WINDOW_ROWS: Final = int(FAILED_ROWS / FAILED_SHARE)
PASSING: Final = frozenset({"model_interrupted", "model_memory"})
"""What a busy or crowded machine does to a good model."""


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """Partitions answered together, under one position: each of their rows has an answer, or a dead letter."""

    partitions: Sequence[int]
    position: Position
    answers: Sequence[Answers] = ()
    dead: Sequence[DeadLetter] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Awaiting:
    """These rows of the batch need a version that is not loaded yet; nothing was answered."""

    rows: Ints
    version: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The version failed and is quarantined from now on; nothing was answered."""

    version: str


@dataclass(slots=True)
class _FailureRate:
    """Rows and failed rows of a version, over at least WINDOW_ROWS rows: a trickle of rows is judged like one batch.

    `counted` is the last offset counted of each partition: rows that are read again must not count twice.
    """

    rows: int = 0
    failed: int = 0
    counted: dict[int, int] = field(default_factory=dict)

    def is_too_bad(self, vectors: Vectors, failed: Ints) -> bool:
        """Count these rows, of which `failed` had no good answer: whether the version must answer no more."""
        if self.rows >= WINDOW_ROWS:
            self.rows = self.failed = 0
        fresh = np.ones(len(vectors), np.bool_)
        for partition, (first, last) in vectors.batch.spans.items():
            counted = self.counted.get(partition, -1)
            if first <= counted:
                partitions, offsets = vectors.places()
                fresh &= (partitions != partition) | (offsets > counted)
            self.counted[partition] = max(last, counted)
        self.rows += int(fresh.sum())
        self.failed += int(fresh[failed].sum())
        shares = ((failed.size, len(vectors)), (self.failed, self.rows))
        return any(bad >= FAILED_ROWS and bad > FAILED_SHARE * rows for bad, rows in shares)


@dataclass(slots=True)
class Scoring:
    """Scores rows. A version is quarantined if it cannot answer at all, or if over 1 % of its rows (and five) fail."""

    models: ResidentModels
    rules: EpochRules
    blame: CrashBlame
    calls: GuardedCalls
    positions: Positions
    _failure_rates: dict[str, _FailureRate] = field(default_factory=dict)

    def answer(self, batch: Batch, vectors: Vectors) -> tuple[list[Answered], dict[int, str]]:
        """Answer the vectors of a batch. Each of its partitions ends in a group, or waits, with the reason.

        The lowest position goes first. A version that breaks is quarantined, which gives its partitions another
        position: they are tried again under that, and nothing of the failed answer is seen.
        """
        pending, groups, waiting = list(batch.spans), list[Answered](), list[int]()
        while pending:
            targets = self.positions.targets(pending)
            waiting += [number for number, target in targets.items() if target is None]
            flowing = {number: target for number, target in targets.items() if target}
            if not flowing:
                break
            lowest = min(flowing.values(), key=lambda target: target.position)
            members = [number for number, target in flowing.items() if target.position == lowest.position]
            rows = vectors
            if len(members) < len(batch.spans):
                rows = vectors.take(np.flatnonzero(np.isin(batch.partitions[vectors.at], members)))
            result = self._answer(members, lowest, rows)
            if isinstance(result, Answered):
                groups.append(result)
            elif isinstance(result, Awaiting):
                members = np.unique(batch.partitions[result.rows]).tolist()
                waiting += members
                for number in members:
                    self.positions.need(number, result.version)
            done = () if isinstance(result, Broken) else members
            pending = [number for number in flowing if number not in done]
        return groups, {number: self.positions.waits(number) for number in sorted(waiting)}

    def _answer(
        self, partitions: Sequence[int], target: PositionAnswerer, vectors: Vectors
    ) -> Answered | Awaiting | Broken:
        """Answer all rows of some partitions. Those that lack a column of the version go to the epoch's understudy."""
        if not len(vectors):
            return Answered(partitions, target.position)
        selected = target.inputs.select(vectors.values)
        if not selected.lacking.size:
            scored = self._score(target, vectors, selected.matrix)
            return scored if isinstance(scored, Broken) else Answered(partitions, target.position, *scored)
        spare = self.rules.answerer(target.spare)
        if target.spare and not spare and not self.rules.has_given_up(target.position.epoch, target.spare):
            return Awaiting(vectors.at[selected.lacking], target.spare)
        scored = self._score(target, vectors.take(selected.rows), selected.matrix)
        if isinstance(scored, Broken):
            return scored
        more, more_dead = self._answer_old(target, spare, vectors.take(selected.lacking))
        return Answered(partitions, target.position, scored[0] + more, scored[1] + more_dead)

    def _answer_old(
        self, target: PositionAnswerer, spare: PositionAnswerer | None, old: Vectors
    ) -> tuple[list[Answers], list[DeadLetter]]:
        """Answer rows that lack a column of the version: with its understudy, or not at all."""
        answers: list[Answers] = []
        dead: list[DeadLetter] = []
        if spare:
            selected = spare.inputs.select(old.values)
            scored = self._score(spare, old.take(selected.rows), selected.matrix)
            if not isinstance(scored, Broken):
                answers, dead = scored
                old = old.take(selected.lacking)
        if len(old):
            detail = f"its specification lacks an input of {target.version}, and no understudy can answer it."
            letter = DeadLetter(old.at, "input_spec_too_old", [detail] * len(old), model_version=target.version)
            dead = [*dead, letter]
        return answers, dead

    def _score(
        self, target: PositionAnswerer, vectors: Vectors, matrix: Floats32
    ) -> tuple[list[Answers], list[DeadLetter]] | Broken:
        """Score the rows that the model can answer, and judge its scores; the other rows are set aside."""
        version, manifest, dead = target.version, target.scorer.manifest, list[DeadLetter]()
        if manifest.required or manifest.digest in self.blame.killed:
            dead, rows = self._set_aside(target, vectors, matrix)
            if dead:
                vectors, matrix = vectors.take(rows), matrix[rows]
        if not len(vectors):
            return [], dead
        try:
            scores = self._scores(target, vectors, matrix)
        except ModelError as error:
            return self._quarantine(version, error.reason, error.detail)
        expected = (len(vectors), len(manifest.classes) or 1)
        if scores.shape != expected:
            return self._quarantine(version, "model_shape", f"it answered {scores.shape}, not {expected}.")
        finite = np.isfinite(scores)
        failed = np.empty(0, np.int64) if finite.all() else np.flatnonzero(~finite.all(axis=1))
        if self._failure_rates.setdefault(version, _FailureRate()).is_too_bad(vectors, failed):
            detail = f"{failed.size} of {len(vectors)} rows had scores that are not finite."
            return self._quarantine(version, "model_not_finite", detail)
        if failed.size:
            details = [f"{version} gave scores that are not finite: {row}." for row in scores[failed].tolist()]
            dead.append(DeadLetter(vectors.at[failed], "model_not_finite", details, model_version=version))
            good = np.flatnonzero(finite.all(axis=1))
            vectors, scores = vectors.take(good), scores[good]
        return ([Answers(vectors, scores, version, manifest)] if len(vectors) else []), dead

    def _scores(self, target: PositionAnswerer, vectors: Vectors, matrix: Floats32) -> Floats32:
        """Asked once more if the machine may be at fault: a quarantine bans a version everywhere."""
        try:
            return self.calls.score(target.scorer, target.version, vectors, matrix)
        except ModelError as error:
            if error.reason not in PASSING:
                raise
        return self.calls.score(target.scorer, target.version, vectors, matrix)

    def _set_aside(self, target: PositionAnswerer, vectors: Vectors, matrix: Floats32) -> tuple[list[DeadLetter], Ints]:
        """Letters for rows without a value that the model requires, and for rows that kill it; and the other rows."""
        letters, version = list[DeadLetter](), target.version
        manifest = target.scorer.manifest
        holes, killers = holes_of(matrix, manifest), self.blame.killers(manifest.digest, vectors)
        if holes.rows.size:
            details = [
                f"feature {name!r} has no value, and {version} has no answer without one." for name in holes.names
            ]
            letters.append(DeadLetter(vectors.at[holes.rows], "model_missing_value", details, model_version=version))
            killers = np.setdiff1d(killers, holes.rows)
        if killers.size:
            detail = f"each time {version} scored this row, the worker died or hung; at last with this row alone."
            letters.append(
                DeadLetter(vectors.at[killers], "model_crashed", [detail] * killers.size, model_version=version)
            )
        return letters, np.setdiff1d(np.arange(len(vectors)), np.concatenate([holes.rows, killers]))

    def _quarantine(self, version: str, reason: str, detail: str) -> Broken:
        self.models.quarantine(version, reason, detail)
        return Broken(version)


def without(letters: Iterable[DeadLetter], batch: Batch, waiting: Iterable[int]) -> list[DeadLetter]:
    """The dead letters, less the rows of partitions that wait: those count as unread."""
    kept = []
    for letter in letters:
        flows = ~np.isin(batch.partitions[letter.rows], list(waiting))
        details = [letter.details[row] for row in np.flatnonzero(flows).tolist()]
        if details:
            kept.append(replace(letter, rows=letter.rows[flows], details=details))
    return kept
