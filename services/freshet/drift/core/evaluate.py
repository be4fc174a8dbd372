"""Drift, second part: how good each series of answers is, from the labelled log to `freshet.evaluations`."""

from collections.abc import Iterable, Sequence
from typing import ClassVar, Final

from freshet.avro.rows import dead_letters
from freshet.contracts.batch import Batch
from freshet.contracts.errors import ContractError
from freshet.contracts.evaluation_message import Evaluation
from freshet.contracts.follower import Follower
from freshet.contracts.logic import Announce, BatchLimits, Effect, Fact
from freshet.contracts.messages import Outcomes, PipelineRecord
from freshet.contracts.stateful import Checkpoint
from freshet.outcomes.outcome_records import OUTCOMES, records_of
from freshet.pipeline import PipelineSpec
from freshet.quality import fold, state_bytes
from freshet.quality.fold import State
from freshet.quality.setting import Setting, setting_of

_LIMITS: Final = BatchLimits(rows=64, commit_interval_ms=250)
"""A record of the log has up to half a megabyte of rows, and nobody waits for an evaluation."""


class EvaluateLogic(Follower[State]):
    """One pipeline's evaluation: the fold of `freshet.quality` over its labelled log.

    The log says of each record under which number of the specification it was made. So nothing here depends on when a
    new number was heard of: where it has not been yet, the log waits for it.

    Nothing of our own is set aside, for each record counts from where the last one ended: at one that does not follow,
    evaluation stops and says why. What a stranger wrote is no record, and is set aside.
    """

    reads: ClassVar[tuple[str, ...]] = (OUTCOMES,)
    follows: ClassVar[tuple[str, ...]] = ("pipelines",)
    kept = Checkpoint("checkpoints/drift-evaluate")

    def __init__(self, pipeline: str) -> None:
        self._pipeline = pipeline
        self._settings: dict[int, Setting] = {}
        self._unreadable: dict[int, str] = {}

    @property
    def limits(self) -> BatchLimits:
        """See `Logic`."""
        return _LIMITS

    def fold(self, fact: Fact) -> None:
        """Keep every number of the pipeline: rows of the log may be of any of them."""
        name, _, number = fact.key.rpartition("/")
        if name != self._pipeline or not number.isdecimal():
            return
        self._trouble = ""  # it may be what was missing
        self._settings.pop(int(number), None)
        self._unreadable.pop(int(number), None)
        if isinstance(fact.message, PipelineRecord):
            try:
                self._settings[fact.message.number] = setting_of(PipelineSpec.parse(fact.message.spec))
            except ContractError as error:
                self._unreadable[fact.message.number] = str(error)

    def first_state(self) -> State:
        """See `Follower`."""
        return fold.first_state()

    def step(self, state: State, batch: Batch, plan: int) -> tuple[State, Iterable[Effect]]:  # noqa: ARG002
        """See `Follower`. Raises ContractError, with the place in the log, at a record that cannot be taken in."""
        found, offsets = records_of(self._pipeline, batch), batch.offsets.tolist()
        state, said = self._taken(state, [(offsets[row], record) for row, record in found.records])
        placed = (one.model_copy(update={"outcomes_topic": self._topic_ids.get(OUTCOMES, "")}) for one in said)
        announced = (Announce("evaluations", self._pipeline, one) for one in placed)
        return state, [*dead_letters(found.refused), *announced]

    def _taken(self, state: State, records: Sequence[tuple[int, Outcomes]]) -> tuple[State, list[Evaluation]]:
        """All of them together; where that cannot be, one after the other, to name the one that is in the way."""
        try:
            for _, record in records:
                self._check(record)
            return fold.steps(state, records, self._settings)
        except ContractError as error:
            if len(records) == 1:
                place = f"{OUTCOMES} of pipeline {self._pipeline!r}, offset {records[0][0]}"
                raise ContractError(f"{place}: {error}") from error
        said: list[Evaluation] = []
        for one in records:
            state, more = self._taken(state, [one])
            said += more
        return state, said

    def _check(self, record: Outcomes) -> None:
        if record.number not in self._settings:
            raise ContractError(
                f"it was made under number {record.number} of the pipeline, which "
                + self._unreadable.get(record.number, "is not on the pipelines topic (yet): evaluation waits for it.")
            )

    def to_bytes(self, state: State) -> bytes:
        """See `Follower`."""
        return state_bytes.to_bytes(state)

    def from_bytes(self, body: bytes) -> State:
        """See `Follower`."""
        return state_bytes.from_bytes(body)
