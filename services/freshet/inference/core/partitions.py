"""The partitions in our hands: where each stands in history, and which of them wait."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from freshet.contracts.errors import ContractError
from freshet.contracts.logic import Hold, LeaveError, Release
from freshet.contracts.messages import PartitionState
from freshet.contracts.position import ORIGIN, Position
from freshet.inference.core.epoch_rules import EpochRules
from freshet.inference.core.report import Report

ROLE: Final = "features"


class ModelMissingError(LeaveError):
    """A partition waits for models that cannot be loaded here: the worker should leave it to another."""


@dataclass(slots=True)
class _Partition:
    """`position` is None where the committed metadata cannot be read; `held` is empty when it flows.

    `needs` is a version that must be loaded before it flows again, beyond what its position asks for.
    """

    position: Position | None
    held: str = ""
    needs: str = ""
    waiting_since_ms: int | None = None


class Partitions:
    """Remembers of each partition what its committed metadata said, until it is assigned again."""

    def __init__(self, standing: EpochRules, report: Report, model_wait_ms: int) -> None:
        self._standing, self._report = standing, report
        self._model_wait_ms = model_wait_ms
        self._known: dict[int, _Partition] = {}

    def assign(self, number: int, metadata: str) -> Hold | None:
        """Take a partition as its metadata says; held if nothing can answer it, or if the metadata is not ours."""
        try:
            self._known[number] = _Partition(Position.parse(metadata))
        except ContractError as error:
            self._known[number] = _Partition(None, held=str(error))
            return Hold(ROLE, number, str(error))
        return None if self.next(number) else self.hold(number)

    def revoke(self, number: int) -> None:
        """Forget the partition."""
        self._known.pop(number, None)

    def position(self, number: int) -> Position:
        """Where a partition stands that is not held for its metadata."""
        position = self._known[number].position
        assert position is not None
        return position

    def next(self, number: int) -> Position | None:
        """Where the partition is answered from its next row on; None if it must wait."""
        return self._standing.next(self.position(number))

    def targets(self, numbers: Iterable[int]) -> dict[int, Position | None]:
        """What `next` says of each; partitions that stand at one position share the answer."""
        positions = {number: self.position(number) for number in numbers}
        found = {position: self._standing.next(position) for position in set(positions.values())}
        return {number: found[position] for number, position in positions.items()}

    def move(self, number: int, position: Position) -> None:
        """The partition is answered under `position` now."""
        self._known[number].position = position

    def held(self, number: int) -> str:
        """Why the partition waits; empty when it flows."""
        return self._known[number].held

    def hold(self, number: int, needs: str = "") -> Hold:
        """Let the partition wait until its position can be answered, and until `needs` is loaded."""
        partition = self._known[number]
        partition.needs = needs
        partition.held = self._why(partition)
        return Hold(ROLE, number, partition.held)

    def releases(self, now_ms: int) -> Iterator[Release]:
        """Held partitions that can go on. One that waited too long gets an understudy, if there is one.

        Raises ModelMissingError if there is none, and no model that it could be answered with can be loaded here.
        """
        for number, partition in sorted(self._known.items()):
            if not partition.held or partition.position is None:
                continue
            if partition.waiting_since_ms is None:
                partition.waiting_since_ms = now_ms
            late = now_ms - partition.waiting_since_ms >= self._model_wait_ms
            if late:
                self._standing.give_up(partition.position, partition.needs)
            if self._can_flow(partition.position, partition.needs):
                self._known[number] = _Partition(partition.position)
                yield Release(ROLE, number)
                continue
            partition.held = self._why(partition)
            if late and self._standing.hopeless(partition.position):
                raise ModelMissingError(
                    f"partition {number} waited {self._model_wait_ms} ms for a model that cannot be loaded here: "
                    f"this worker leaves it to another. {partition.held}"
                )

    def states(self) -> tuple[PartitionState, ...]:
        """All partitions for the worker's record, by number."""
        return tuple(
            PartitionState(partition=number, epoch=position.epoch, fallback=position.fallback, held=partition.held)
            for number, partition in sorted(self._known.items())
            for position in [partition.position or ORIGIN]
        )

    def _why(self, partition: _Partition) -> str:
        if partition.position is None:
            return partition.held
        if partition.needs:
            return f"its rows need {partition.needs}, which is not loaded yet."
        return self._report.why_waiting(partition.position)

    def _can_flow(self, position: Position, needs: str) -> bool:
        following = self._standing.next(position)
        if following is None or not needs:
            return following is not None
        settled = self._standing.usable(needs) or self._standing.struck(needs)
        return settled or self._standing.has_given_up(following.epoch, needs)
