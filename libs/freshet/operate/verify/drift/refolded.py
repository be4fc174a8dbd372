"""The folds that evaluate and detect make of the labelled log, made again from its first record on."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import isclose
from typing import Final, Generic, TypeVar

from freshet.contracts.errors import ContractError
from freshet.contracts.evaluation_message import Evaluation
from freshet.contracts.messages import Alarm, Message
from freshet.detectors.observing import LogRecord, promise_of
from freshet.detectors.watch import Watch, WatchState
from freshet.ledger.ledger import PipelineLedger
from freshet.operate.verify.drift.retold import Retold, Said
from freshet.operate.verify.findings import Finding, Unjudged
from freshet.pipeline import PipelineSpec
from freshet.quality import fold
from freshet.quality.setting import setting_of

T = TypeVar("T", bound=Message)

Fold = Callable[[LogRecord], Iterable[T]]
"""What a record adds. Raises ContractError where the fold cannot go on."""

_FRONT: Final = "of a labelled log whose oldest records have expired: each counts from its beginning"

_BY_CPU: Final = {"statistic", "threshold", "effect", "attribution", "text"}
"""Numbers of an alarm that may differ in the last digits on another machine, and the text that names them."""
_WHERE: Final = {"outcomes_topic"}
"""What was said names the topic, which a fold of records does not know."""


@dataclass(slots=True, eq=False)
class Folded(Generic[T]):
    """Goes on as far as the fold can."""

    fold: Fold[T]
    retold: Retold[T]
    _trouble: str = ""
    _records: int = field(default=0)
    """Those that could not be taken in."""

    @property
    def pending(self) -> int:
        """What is still to be said."""
        return self.retold.pending

    def add(self, record: LogRecord) -> None:
        """The next record of the log, from its first one on."""
        if not self._trouble:
            try:
                for one in self.fold(record):
                    self.retold.must(one, record.at_ms)
            except ContractError as error:
                self._trouble = str(error)
        self._records += bool(self._trouble)

    def findings(self) -> list[Finding]:
        """Nothing is called wrong behind a record that cannot be taken in."""
        return [] if self._trouble else self.retold.findings()

    def unjudged(self, *, expired: bool) -> list[Unjudged]:
        """What could not be judged, and why. `expired`: the log's front is not there, and so nothing was added."""
        noun = self.retold.said.noun
        if expired:
            return [Unjudged(f"{noun}s", len(self.retold.said.messages), _FRONT)]
        if not self._trouble:
            return self.retold.unjudged()
        return [Unjudged("outcomes", self._records, f"from which no {noun} can be made: {self._trouble}")]


def evaluation_fold(specs: Mapping[int, PipelineSpec]) -> Fold[Evaluation]:
    """What `drift-evaluate` makes of the log."""
    settings = {number: setting_of(spec) for number, spec in specs.items()}
    state = fold.first_state()

    def step(at: LogRecord) -> Iterable[Evaluation]:
        nonlocal state
        if at.record.number not in settings:
            raise ContractError(f"number {at.record.number} of the pipeline is not on the pipelines topic")
        state, said = fold.step(state, at.record, at.offset, settings)
        return said

    return step


def alarm_fold(pipeline: str, specs: Mapping[int, PipelineSpec], ledger: PipelineLedger) -> Fold[Alarm]:
    """What `drift-detect` makes of the log."""
    promises = {version: promise_of(model.manifest) for version, model in ledger.versions.records.items()}
    watch = Watch(pipeline, {number: spec.detectors for number, spec in specs.items()}, promises)
    state = WatchState()

    def step(at: LogRecord) -> Iterable[Alarm]:
        nonlocal state
        if lacking := watch.lacks([at]):
            raise ContractError(f"{lacking} is not on the control topics")
        state, alarms = watch.fold(state, [at])
        return alarms

    return step


def evaluations(fold_of: Fold[Evaluation], said: Said[Evaluation], first_ms: int) -> Folded[Evaluation]:
    """Evaluations that were said, against those that follow."""
    retold = Retold(said, _place, lambda one: one.through, _named, _same_counts, first_ms)
    return Folded(fold_of, retold)


def alarms(fold_of: Fold[Alarm], said: Said[Alarm], first_ms: int) -> Folded[Alarm]:
    """Alarms that were said, against those that follow: each has its id from what it is about."""
    retold = Retold(
        said, lambda one: one.id, lambda one: one.through, lambda one: f"{one.detector} {one.id}", _same_alarm, first_ms
    )
    return Folded(fold_of, retold)


def _place(one: Evaluation) -> tuple[str, str, int]:
    return one.series, one.view, one.end_row if one.view == "arrival" else one.start_ms


def _named(one: Evaluation) -> str:
    return f"{one.series} ({one.view}) of rows {one.first_row:,} to {one.end_row:,}"


def _same_counts(said: Evaluation, due: Evaluation) -> bool:
    """Sums of logarithms may differ in the last digits on another machine."""
    sums = [name for name, value in due if isinstance(value, float)]
    near = all(isclose(getattr(said, name), getattr(due, name), rel_tol=1e-9, abs_tol=1e-9) for name in sums)
    return near and _same_but(said, due, _WHERE | set(sums))


def _same_alarm(said: Alarm, due: Alarm) -> bool:
    return _same_but(said, due, _WHERE | _BY_CPU)


def _same_but(said: Message, due: Message, but: set[str]) -> bool:
    return said.model_dump(exclude=but) == due.model_dump(exclude=but)
