"""Answers rows with one version, and judges the answer before anything of it is published."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from freshet.avro import Ragged
from freshet.contracts.arrays import Bools, Floats32, Ints
from freshet.contracts.logic import DeadLetter
from freshet.contracts.position import Position
from freshet.inference.core.crash_blame import CrashBlame
from freshet.inference.core.epoch_rules import EpochRules
from freshet.inference.core.guarded_calls import GuardedCalls
from freshet.inference.core.model_jobs import Scorer
from freshet.inference.core.prediction_writer import Answers
from freshet.inference.core.resident_models import ResidentModels
from freshet.inference.core.vectors import Vectors
from freshet.models.input_columns import Selected, holes_of
from freshet.models.model_error import ModelError

FAILED_ROWS: Final = 5
FAILED_SHARE: Final = 0.01
WINDOW_ROWS: Final = int(FAILED_ROWS / FAILED_SHARE)
PASSING: Final = frozenset({"model_interrupted", "model_memory"})
"""What a busy or crowded machine does to a good model."""


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """Every row has its end: an answer, or a dead letter."""

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
        fresh = self._fresh(vectors)
        self.rows += int(fresh.sum())
        self.failed += int(fresh[failed].sum())
        return _exceeds(failed.size, len(vectors)) or _exceeds(self.failed, self.rows)

    def _fresh(self, vectors: Vectors) -> Bools:
        """Which rows were never counted; they are from now on."""
        fresh = np.ones(len(vectors), np.bool_)
        for partition, (first, last) in vectors.batch.spans.items():
            counted = self.counted.get(partition, -1)
            if first <= counted:
                partitions, offsets = vectors.places()
                fresh &= (partitions != partition) | (offsets > counted)
            self.counted[partition] = max(last, counted)
        return fresh


def _exceeds(failed: int, rows: int) -> bool:
    return failed >= FAILED_ROWS and failed > FAILED_SHARE * rows


@dataclass(slots=True)
class Scoring:
    """Scores rows. A version is quarantined if it cannot answer at all, or if over 1 % of its rows (and five) fail."""

    models: ResidentModels
    rules: EpochRules
    blame: CrashBlame
    calls: GuardedCalls
    _failure_rates: dict[str, _FailureRate] = field(default_factory=dict)

    def answer(self, position: Position, vectors: Vectors) -> Answered | Awaiting | Broken:
        """Answer all rows under one position. Rows that lack a column of the version go to the epoch's understudy."""
        if not len(vectors):
            return Answered(position)
        version, spare = self.rules.answers_at(position)
        selected = self._select(version, vectors)
        lacking = bool(selected.lacking.size)
        if lacking and spare and not self._settled(position, spare):
            return Awaiting(vectors.at[selected.lacking], spare)
        scored = self._score(version, vectors.take(selected.rows), selected.matrix)
        if isinstance(scored, Broken):
            return scored
        answers, dead = scored
        if lacking:
            more, more_dead = self._answer_old(version, spare, vectors.take(selected.lacking))
            answers, dead = answers + more, dead + more_dead
        return Answered(position, answers, dead)

    def _settled(self, position: Position, spare: str) -> bool:
        """Whether the understudy can answer, or is not waited for."""
        return self.rules.usable(spare) or self.rules.has_given_up(position.epoch, spare)

    def _answer_old(self, version: str, spare: str, old: Vectors) -> tuple[list[Answers], list[DeadLetter]]:
        answers: list[Answers] = []
        dead: list[DeadLetter] = []
        if spare and self.rules.usable(spare):
            selected = self._select(spare, old)
            scored = self._score(spare, old.take(selected.rows), selected.matrix)
            if not isinstance(scored, Broken):
                answers, dead = scored
                old = old.take(selected.lacking)
        if len(old):
            detail = f"its specification lacks an input of {version}, and no understudy can answer it."
            dead = [*dead, DeadLetter(old.at, "input_spec_too_old", [detail] * len(old), model_version=version)]
        return answers, dead

    def _select(self, version: str, vectors: Vectors) -> Selected:
        space, values = self.rules.space, vectors.columns["values"]
        assert space is not None
        assert isinstance(values, Ragged)
        return space.select(values, self._scorer(version).manifest)

    def _scorer(self, version: str) -> Scorer:
        loaded = self.models.get(version)
        assert loaded is not None, f"{version} answers, but is not in memory"
        return loaded.scorer

    def _score(
        self, version: str, vectors: Vectors, matrix: Floats32
    ) -> tuple[list[Answers], list[DeadLetter]] | Broken:
        """Score the rows that the model can answer; the others are set aside."""
        letters, aside = self._set_aside(version, vectors, matrix)
        if letters:
            others = np.setdiff1d(np.arange(len(vectors)), aside)
            vectors, matrix = vectors.take(others), matrix[others]
        scored = self._score_all(version, vectors, matrix) if len(vectors) else ([], [])
        return scored if isinstance(scored, Broken) else (scored[0], letters + scored[1])

    def _set_aside(self, version: str, vectors: Vectors, matrix: Floats32) -> tuple[list[DeadLetter], Ints]:
        """Letters for rows without a value that the model requires, and for rows that kill it; and which these are."""
        letters = []
        holes, killers = holes_of(matrix, self._scorer(version).manifest), self.blame.killers(version, vectors)
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
        return letters, np.concatenate([holes.rows, killers]) if letters else killers

    def _score_all(
        self, version: str, vectors: Vectors, matrix: Floats32
    ) -> tuple[list[Answers], list[DeadLetter]] | Broken:
        scorer = self._scorer(version)
        manifest = scorer.manifest
        try:
            scores = self._scores(scorer, version, vectors, matrix)
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
        if not failed.size:
            return [Answers(vectors, scores, version, manifest)], []
        details = [f"{version} gave scores that are not finite: {row}." for row in scores[failed].tolist()]
        dead = DeadLetter(vectors.at[failed], "model_not_finite", details, model_version=version)
        good = np.flatnonzero(finite.all(axis=1))
        return ([Answers(vectors.take(good), scores[good], version, manifest)] if good.size else []), [dead]

    def _scores(self, scorer: Scorer, version: str, vectors: Vectors, matrix: Floats32) -> Floats32:
        """Asked once more if the machine may be at fault: a quarantine bans a version everywhere."""
        try:
            return self.calls.score(scorer, version, vectors, matrix)
        except ModelError as error:
            if error.reason not in PASSING:
                raise
        return self.calls.score(scorer, version, vectors, matrix)

    def _quarantine(self, version: str, reason: str, detail: str) -> Broken:
        self.models.quarantine(version, reason, detail)
        return Broken(version)
