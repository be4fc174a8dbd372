"""Drift, last part: what comes in and what is answered is another than before, from profiles to `freshet.alarms`."""

from collections.abc import Iterable
from typing import ClassVar, Final

from freshet.avro.rows import dead_letters
from freshet.contracts.batch import Batch
from freshet.contracts.errors import ContractError
from freshet.contracts.logic import Announce, BatchLimits, Effect, Fact
from freshet.contracts.stateful import Checkpoint
from freshet.detectors.input_watch import InputWatch, InputWatchState
from freshet.drift.core.version_follower import VersionFollower
from freshet.pipeline.watched_inputs import ROLES, WatchedInputs
from freshet.profiles.frame_records import PROFILES, frames_of

_LIMITS: Final = BatchLimits(rows=64, commit_interval_ms=250)
"""A frame stands for up to a thousand rows, and nobody waits a quarter of a second for an alarm about them."""


class CompareLogic(VersionFollower[InputWatchState]):
    """One pipeline's input detectors: the fold of `freshet.detectors.input_watch` over its profiles.

    Each frame says under which specification and between which edges it was made, and which versions answered. So
    nothing depends on when any of that was heard of: the log waits for what its next frame names.
    """

    reads: ClassVar[tuple[str, ...]] = (PROFILES,)
    follows: ClassVar[tuple[str, ...]] = ROLES
    kept = Checkpoint("checkpoints/drift-compare", rows=500)

    def __init__(self, pipeline: str) -> None:
        self._pipeline = pipeline
        self._facts = WatchedInputs(pipeline)
        self._heard = self._facts.trained
        self._watch = InputWatch(pipeline, self._facts.profiles, self._facts.edges, self._facts.trained)

    @property
    def limits(self) -> BatchLimits:
        """See `Logic`."""
        return _LIMITS

    def fold(self, fact: Fact) -> None:
        """See `Logic`. What the log waits for may be among it."""
        if self._facts.fold(fact):
            self._trouble = ""

    def first_state(self) -> InputWatchState:
        """See `Follower`."""
        return InputWatchState()

    def step(
        self,
        state: InputWatchState,
        batch: Batch,
        plan: int,  # noqa: ARG002
    ) -> tuple[InputWatchState, Iterable[Effect]]:
        """See `Follower`. Raises ContractError, with the place in the log, at a frame that cannot be taken in."""
        found = frames_of(self._pipeline, batch)
        if lacking := self._watch.lacks(found.frames):
            raise ContractError(
                f"the {PROFILES} of pipeline {self._pipeline!r} name {lacking}, which is not known (yet): they are not "
                f"compared until it is.{self._facts.unreadable}"
            )
        self._ask_for(self._watch.unheard(found.frames), PROFILES)
        state, alarms = self._watch.fold(state, found.frames)
        placed = [alarm.model_copy(update={"profiles_topic": self._topic_ids.get(PROFILES, "")}) for alarm in alarms]
        alarms_said = (Announce("alarms", self._pipeline, alarm) for alarm in placed)
        return state, [*dead_letters(found.refused), *alarms_said]

    def to_bytes(self, state: InputWatchState) -> bytes:
        """See `Follower`."""
        return self._watch.dump(state)

    def from_bytes(self, body: bytes) -> InputWatchState:
        """See `Follower`."""
        return self._watch.load(body)
