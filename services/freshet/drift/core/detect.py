"""Drift, third part: since when the world is another, from the labelled log to `freshet.alarms`."""

from collections.abc import Iterable
from typing import ClassVar, Final

from freshet.avro.rows import dead_letters
from freshet.contracts.batch import Batch
from freshet.contracts.errors import ContractError
from freshet.contracts.logic import Announce, BatchLimits, Effect, Fact
from freshet.contracts.stateful import Checkpoint
from freshet.detectors.observing import LogRecord
from freshet.detectors.watch import Watch, WatchState
from freshet.drift.core.version_follower import VersionFollower
from freshet.outcomes.outcome_records import OUTCOMES, records_of
from freshet.pipeline.watched import ROLES, WatchedFacts

_LIMITS: Final = BatchLimits(rows=64, commit_interval_ms=250)
"""A record of the log has up to half a megabyte of rows, and no alarm is later by a quarter of a second to anybody."""


class DetectLogic(VersionFollower[WatchState]):
    """One pipeline's detectors: the fold of `freshet.detectors` over its labelled log.

    Each record says under which specification it was made, and which versions answered. So nothing here depends on when
    a specification or a model was heard of: the log waits for what its next record names.

    Nothing of our own is set aside: where rows are missing the log waits, and says why. What a stranger wrote is.
    """

    reads: ClassVar[tuple[str, ...]] = (OUTCOMES,)
    follows: ClassVar[tuple[str, ...]] = ROLES
    kept = Checkpoint("checkpoints/drift-detect")

    def __init__(self, pipeline: str) -> None:
        self._pipeline = pipeline
        self._facts = WatchedFacts(pipeline)
        self._heard = self._facts.promises
        self._watch = Watch(pipeline, self._facts.detectors, self._facts.promises)

    @property
    def limits(self) -> BatchLimits:
        """See `Logic`."""
        return _LIMITS

    def fold(self, fact: Fact) -> None:
        """See `Logic`. What the log waits for may be among it."""
        if self._facts.fold(fact):
            self._trouble = ""

    def first_state(self) -> WatchState:
        """See `Follower`."""
        return WatchState()

    def step(self, state: WatchState, batch: Batch, plan: int) -> tuple[WatchState, Iterable[Effect]]:  # noqa: ARG002
        """See `Follower`. Raises ContractError, with the place in the log, at a record that cannot be taken in."""
        found = records_of(self._pipeline, batch)
        offsets, times_ms = batch.offsets.tolist(), batch.timestamps_ms.tolist()
        records = [LogRecord(offsets[row], times_ms[row], record) for row, record in found.records]
        if lacking := self._watch.lacks(records):
            raise ContractError(
                f"the {OUTCOMES} of pipeline {self._pipeline!r} name {lacking}, which is not known (yet): detection "
                f"waits for it.{self._facts.unreadable}"
            )
        self._ask_for(self._watch.unheard(records), OUTCOMES)
        state, alarms = self._watch.fold(state, records)
        placed = [alarm.model_copy(update={"outcomes_topic": self._topic_ids.get(OUTCOMES, "")}) for alarm in alarms]
        alarms_said = (Announce("alarms", self._pipeline, alarm) for alarm in placed)
        return state, [*dead_letters(found.refused), *alarms_said]

    def to_bytes(self, state: WatchState) -> bytes:
        """See `Follower`."""
        return self._watch.dump(state)

    def from_bytes(self, body: bytes) -> WatchState:
        """See `Follower`."""
        return self._watch.load(body)
