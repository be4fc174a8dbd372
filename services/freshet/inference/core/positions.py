"""The partitions in our hands: where each stands in history, and what it waits for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from freshet.contracts.errors import ContractError
from freshet.contracts.logic import LeaveError
from freshet.contracts.messages import PartitionState
from freshet.contracts.position import ORIGIN, Position
from freshet.inference.core.epoch_rules import EpochRules, PositionAnswerer
from freshet.inference.core.report import Report

ROLE: Final = "features"


class ModelMissingError(LeaveError):
    """A partition waits for models that cannot be loaded here: the worker should leave it to another."""


@dataclass(slots=True)
class _Partition:
    """`unreadable` says what is wrong with committed metadata that is not ours; its position means nothing then.

    `needs` is a version that must be loaded before it flows again, beyond what its position asks for.
    """

    position: Position
    unreadable: str = ""
    needs: str = ""
    waiting_since_ms: int | None = None


class Positions:
    """Remembers of each partition what its committed metadata said, until it is assigned again."""

    def __init__(self, rules: EpochRules, report: Report, model_wait_ms: int) -> None:
        self._rules, self._report = rules, report
        self._model_wait_ms = model_wait_ms
        self._known: dict[int, _Partition] = {}

    def assign(self, number: int, metadata: str) -> None:
        """Take a partition as its metadata says."""
        try:
            self._known[number] = _Partition(Position.parse(metadata))
        except ContractError as error:
            self._known[number] = _Partition(ORIGIN, unreadable=str(error))

    def revoke(self, number: int) -> None:
        """Forget the partition."""
        self._known.pop(number, None)

    def targets(self, numbers: Iterable[int]) -> dict[int, PositionAnswerer | None]:
        """Where each is answered from its next row on, and who does it; None if it must wait."""
        return {number: self._next(self._known[number]) for number in numbers}

    def move(self, moves: Mapping[int, Position]) -> dict[int, Position]:
        """These partitions are answered there now. Returns, by number, where those stood that have moved."""
        moved = {}
        for number, position in sorted(moves.items()):
            known = self._known[number]
            if known.position != position:
                moved[number], known.position = known.position, position
        return moved

    def need(self, number: int, version: str) -> None:
        """The partition waits until this version is loaded, or is not waited for any more."""
        self._known[number].needs = version

    def waits(self, number: int) -> str:
        """Why the partition cannot be answered now; empty when it can."""
        at = self._known[number]
        return "" if self._next(at) else self._why(at)

    def _why(self, at: _Partition) -> str:
        if at.unreadable:
            return at.unreadable
        if at.needs:
            return f"its rows need {at.needs}, which is not loaded yet."
        return self._report.why_waiting(at.position)

    def tick(self, now_ms: int) -> None:
        """A partition that waited too long gets an understudy, if there is one.

        Raises ModelMissingError if there is none, and no model that it could be answered with can be loaded here.
        """
        targets = self.targets(self._known)
        for number, at in sorted(self._known.items()):
            if at.unreadable:
                continue
            if targets[number] is not None:
                at.needs, at.waiting_since_ms = "", None
                continue
            if at.waiting_since_ms is None:
                at.waiting_since_ms = now_ms
            if now_ms - at.waiting_since_ms < self._model_wait_ms:
                continue
            self._rules.give_up(at.position, at.needs)
            if self._next(at) is None and self._rules.hopeless(at.position):
                raise ModelMissingError(
                    f"partition {number} waited {self._model_wait_ms} ms for a model that cannot be loaded here: "
                    f"this worker leaves it to another. {self._why(at)}"
                )

    def states(self) -> tuple[PartitionState, ...]:
        """All partitions for the worker's record, by number."""
        targets = self.targets(self._known)
        return tuple(
            PartitionState(partition=number, epoch=at.position.epoch, fallback=at.position.fallback, held=why)
            for number, at in sorted(self._known.items())
            for why in ["" if targets[number] else self._why(at)]
        )

    def _next(self, at: _Partition) -> PositionAnswerer | None:
        following = None if at.unreadable else self._rules.next(at.position)
        if following is None or not at.needs:
            return following
        here = self._rules.answerer(at.needs) or self._rules.is_blocked(at.needs)
        return following if here or self._rules.has_given_up(following.position.epoch, at.needs) else None
