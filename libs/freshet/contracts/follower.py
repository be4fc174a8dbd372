"""The third kind of core beside `Logic` and `Decider`: it follows logs in order, alone, and keeps a small state.

Evaluation, detectors and trainers are such. A log has one partition, so its rows have one order, and one member of the
group has all of it; another process of the same service stands by, and goes on where the first one ends.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Generic, TypeVar

from freshet.contracts.batch import Batch
from freshet.contracts.errors import ContractError
from freshet.contracts.logic import Effect, Hold
from freshet.contracts.stateful import Stateful

StateT = TypeVar("StateT")


class Follower(Stateful, Generic[StateT]):
    """A reduction over the rows of its logs, whose state is a value: a step never changes the one that it is given.

    What a step publishes becomes visible in one transaction with the offsets and the state behind it; a step that was
    not committed never was. Name the logs in `reads` and the control topics in `follows`, and say with `kept` how the
    state is written: a `Checkpoint`, for small states. What `Stateful` asks for is done here.

    A step may set aside what strangers wrote, with a `DeadLetter`, where a log tells whether a record of its own is
    missing. Where a step raises ContractError, the log is held with that sentence, until `_trouble` is emptied: `fold`
    does that when it learns what was missing.

    With several logs, the state may not depend on how their rows were interleaved.
    """

    _state: StateT | None = None
    _staged: StateT | None = None
    _astray: frozenset[tuple[str, int]] = frozenset()
    """Partitions of ours that no log has."""
    _trouble: str = ""
    """Why the next record cannot be taken in."""
    _topic_ids: Mapping[str, str] = MappingProxyType({})
    """Which life of each log is followed, so that what is said can name it."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.together = (cls.reads,) if len(cls.reads) > 1 else ()

    def first_state(self) -> StateT:
        """What is known before the first row."""
        raise NotImplementedError

    def step(self, state: StateT, batch: Batch, plan: int) -> tuple[StateT, Iterable[Effect]]:
        """The state behind these rows of one log, taken in under that plan, and what is to be said of them.

        Rows, not batches: cut otherwise, they must lead to the same state and say the same. A step is also taken to
        come back to a state, and its effects are dropped then: they stand on the topics already.
        """
        raise NotImplementedError

    def to_bytes(self, state: StateT) -> bytes:
        """The state for a checkpoint. The same state gives the same bytes."""
        raise NotImplementedError

    def from_bytes(self, body: bytes) -> StateT:
        """The state that gave these bytes."""
        raise NotImplementedError

    @property
    def state(self) -> StateT | None:
        """The state of what is committed, for reports and jobs; None where another member follows."""
        return self._state

    def on_batch(self, batch: Batch) -> Iterable[Effect]:
        """See `Logic`. Holds the log where it cannot go on."""
        assert self._staged is not None, "rows came before the state"
        try:
            self._staged, effects = self.step(self._staged, batch, self.plan)
        except ContractError as error:
            self._trouble = str(error)
            return [Hold(batch.role, 0, self._trouble)]
        return effects

    def waits(self, role: str, partition: int) -> str:
        """See `Logic`. Extend it with what else must be there before a row is read."""
        if partition == 0:
            return self._trouble
        return (
            f"{role} was given more than one partition: there is no order between them, and {type(self).__name__} "
            "follows one log. Make the topic anew with one partition."
        )

    def on_topic(self, role: str, topic_id: str) -> None:
        """See `Logic`."""
        self._topic_ids = {**self._topic_ids, role: topic_id}

    def on_assign(self, role: str, partition: int, metadata: str) -> None:  # noqa: ARG002
        """See `Logic`. What the log holds may have been put right."""
        self._trouble = ""
        if partition:
            self._astray |= {(role, partition)}

    def on_revoke(self, role: str, partition: int) -> None:
        """See `Logic`."""
        self._astray -= {(role, partition)}

    def unready(self) -> str | None:
        """See `Logic`. Extend it with what else must be there."""
        return self.waits(*min(self._astray)) if self._astray else self._trouble or None

    def begin(self, partition: int) -> None:
        """See `Stateful`."""
        self._set(partition, self.first_state())

    def load(self, partition: int, body: bytes) -> None:
        """See `Stateful`."""
        self._set(partition, self.from_bytes(body))

    def take_in(self, batch: Batch, plan: int) -> None:
        """See `Stateful`."""
        assert self._state is not None, "rows came before the state"
        self._set(0, self.step(self._state, batch, plan)[0])

    def committed(self, partition: int) -> None:
        """See `Stateful`."""
        self._set(partition, self._staged)

    def discarded(self, partition: int) -> None:
        """See `Stateful`."""
        self._set(partition, self._state)

    def forget(self, partition: int) -> None:
        """See `Stateful`."""
        self._set(partition, None)

    def dump(self, partition: int) -> bytes:  # noqa: ARG002
        """See `Stateful`."""
        assert self._staged is not None, "it is asked before anything was read"
        return self.to_bytes(self._staged)

    def _set(self, partition: int, state: StateT | None) -> None:
        if partition == 0:  # the others are never read
            self._state = self._staged = state
