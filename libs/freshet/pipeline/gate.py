"""The gate: what a new model must be worth, clause by clause, judged on the rows that it was tried on. Pure."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import Field

from freshet.pipeline.parts import SpecModel
from freshet.pipeline.problem import unknown

Verdict = Literal["pass", "fail", "none"]
"""`none` is that of a gate without clauses."""

GATE: Final = "gate"
CHAMPION: Final = "champion"
"""What the lineage of a model calls the verdict of its gate, and the version that it was compared with."""

LATENCY: Final = "latency_ms"
"""CPU time for a row, in milliseconds: a measurement, so that it is made only where a clause asks for it."""

_CLASSES: Final[Mapping[str, bool]] = {
    "accuracy": True,
    "balanced_accuracy": True,
    "macro_f1": True,
    "macro_precision": True,
    "macro_recall": True,
    "kappa": True,
    "auc": True,
    "log_loss": False,
    "calibration_error": False,
}
_VALUE: Final[Mapping[str, bool]] = {"mae": False, "rmse": False, "r2": True}
_COSTS: Final[Mapping[str, bool]] = {LATENCY: False}
"""Metrics, and whether more is better."""
METRICS: Final = (*_CLASSES, *_VALUE)
"""What follows from scores and truths, by the names that `freshet.quality.metrics` has for it."""
_ALL: Final[Mapping[str, bool]] = {**_CLASSES, **_VALUE, **_COSTS}
_LEAST: Final[Mapping[str, float]] = {"kappa": -1.0, "r2": -math.inf}
_MOST: Final[Mapping[str, float]] = dict.fromkeys(("log_loss", "mae", "rmse", LATENCY), math.inf)
"""Between which values a metric lies, where not between 0 and 1."""


class Clause(SpecModel):
    """One demand: on one metric, over all rows that the model was tried on or over those of one slice."""

    metric: str
    """Such as accuracy, log_loss or calibration_error; of a regression mae, rmse or r2; of both latency_ms."""
    slice: str = ""
    """Only over the rows of this slice; by default over all."""
    not_worse_by: float | None = Field(default=None, ge=0)
    """It may be worse than the version that answers by so much at most. Holds where no version answers."""
    at_least: float | None = None
    """It must come to so much."""
    at_most: float | None = None
    """It may come to no more."""

    def problems(
        self, target: Literal["classes", "value"], slices: Sequence[str]
    ) -> Iterator[tuple[tuple[str, ...], str]]:
        """What keeps it from being judged: the key it is about, and a sentence."""
        known = {**(_CLASSES if target == "classes" else _VALUE), **_COSTS}
        if self.metric == LATENCY and self.slice:
            yield ("slice",), f"{LATENCY} is measured over all rows: leave `slice` out."
        if self.metric not in known:
            yield ("metric",), unknown("metric", self.metric, list(known))
        if self.slice and self.slice not in slices:
            yield (
                ("slice",),
                unknown("slice", self.slice, slices) if slices else f"`slices` has no {self.slice!r}: add it.",
            )
        bounds = (self.not_worse_by, self.at_least, self.at_most)
        if sum(bound is not None for bound in bounds) != 1:
            yield (), "needs exactly one of `not_worse_by`, `at_least` and `at_most`."
        elif self.metric in known:
            yield from self._unreachable()

    def _unreachable(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """A bound that no model meets, such as an accuracy in per cent."""
        least, most = _LEAST.get(self.metric, 0.0), _MOST.get(self.metric, 1.0)
        if self.at_least is not None and self.at_least > most:
            yield ("at_least",), f"no model passes: {self.metric} is never above {most:g}."
        if self.at_most is not None and self.at_most < least:
            yield ("at_most",), f"no model passes: {self.metric} is never below {least:g}."

    @property
    def demand(self) -> str:
        """What it asks for, in words."""
        if self.not_worse_by is not None:
            return f"{self._what} may be worse by {self.not_worse_by:g}"
        bound = f"least {self.at_least:g}" if self.at_least is not None else f"most {self.at_most:g}"
        return f"{self._what} must be at {bound}"

    @property
    def _what(self) -> str:
        return f"{self.metric} of slice {self.slice}" if self.slice else self.metric

    def judge(self, metrics: Mapping[str, float], champion: str) -> tuple[bool, str]:
        """Whether it holds for a candidate with these metrics, and the sentence with value, bound and verdict.

        Without any row to try it on, a candidate fails. A slice without rows says nothing against it.
        """
        place = f"slice.{self.slice}.{self.metric}" if self.slice else self.metric
        value, rival = metrics.get(f"candidate.{place}", math.nan), metrics.get(f"champion.{place}", math.nan)
        if math.isnan(value) and (math.isnan(rival) or self.not_worse_by is None):
            holds = bool(self.slice)
            return holds, f"{self._what} could not be measured: {'pass' if holds else 'fail'}"
        holds, bound = self._compare(value, rival, champion)
        return holds, f"{self._what} {value:.4g} {bound}: {'pass' if holds else 'fail'}"

    def _compare(self, value: float, rival: float, champion: str) -> tuple[bool, str]:
        if self.at_least is not None:
            return value >= self.at_least, f"must be at least {self.at_least:g}"
        if self.at_most is not None:
            return value <= self.at_most, f"must be at most {self.at_most:g}"
        if not champion:
            return True, "has no rival, since no version answers"
        more_is_better = _ALL.get(self.metric, True)
        worse_by = rival - value if more_is_better else value - rival
        holds = worse_by <= (self.not_worse_by or 0.0)  # false where one of them is NaN
        return holds, f"may be worse than {rival:.4g} of {champion} by {self.not_worse_by:g}"


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """What the gate says of a candidate, and each clause in a sentence."""

    verdict: Verdict
    clauses: tuple[str, ...] = ()

    @property
    def lineage(self) -> dict[str, str]:
        """The entries of a manifest's lineage that say the same; `of_lineage` reads them back."""
        return {GATE: self.verdict} | {f"{GATE}.{at}": clause for at, clause in enumerate(self.clauses, 1)}

    @classmethod
    def of_lineage(cls, lineage: Mapping[str, str]) -> "GateVerdict":
        """What a model's lineage says; `none` if it was not trained here."""
        found: Verdict = next((word for word in ("pass", "fail") if lineage.get(GATE) == word), "none")
        count = sum(key.startswith(f"{GATE}.") for key in lineage)
        return cls(found, tuple(lineage.get(f"{GATE}.{at}", "") for at in range(1, count + 1)))


def judge_gate(clauses: Sequence[Clause], metrics: Mapping[str, float], champion: str) -> GateVerdict:
    """Every clause judged on the metrics of candidate and champion over the same rows; it passes if all hold.

    `champion` is empty while no version answers.
    """
    judged = [clause.judge(metrics, champion) for clause in clauses]
    if not judged:
        return GateVerdict("none")
    return GateVerdict("pass" if all(holds for holds, _ in judged) else "fail", tuple(words for _, words in judged))
