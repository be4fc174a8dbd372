"""What a service has said of the labelled log, held against what follows from it."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from freshet.operate.verify.drift.log_counts import PROMISE
from freshet.operate.verify.findings import Finding, Unjudged, listed

T = TypeVar("T")

SKEW_MS: Final = 60_000
"""Brokers that lead different partitions may disagree about the time."""


@dataclass(frozen=True, slots=True, eq=False)
class Said(Generic[T]):
    """All that is left of what a service has said about a pipeline, in order."""

    service: str
    noun: str
    messages: Sequence[tuple[int, T]]
    """Each with the time when it was appended."""
    reached: int | None
    """The next offset of the labelled log that the service reads; None if it has never committed one."""
    kept_since_ms: int = -1
    """The time of the first record of the topic, where retention has taken what was before it."""

    @property
    def has_run(self) -> bool:
        """Whether anything tells of the service."""
        return self.reached is not None or bool(self.messages)


@dataclass(slots=True, eq=False)
class Retold(Generic[T]):
    """Takes what must have been said, in order, and finds what was not, and what was said beyond it."""

    said: Said[T]
    key: Callable[[T], Hashable]
    through: Callable[[T], int]
    name: Callable[[T], str]
    alike: Callable[[T, T], bool]
    first_ms: int
    """When the log that is there now began: whatever was said before is about another one."""
    log: str = "the labelled log"
    """What it is called."""
    looked_at: int = 0
    pending: int = 0
    _expired: int = 0
    _lost: list[str] = field(default_factory=list)
    _wrong: list[str] = field(default_factory=list)
    _open: dict[Hashable, list[tuple[int, T]]] = field(init=False)
    _reached: int = field(init=False)
    _earlier: int = field(init=False)

    def __post_init__(self) -> None:
        self._open = {}
        own = [(at_ms, one) for at_ms, one in self.said.messages if at_ms >= self.first_ms - SKEW_MS]
        for at_ms, one in own:
            self._open.setdefault(self.key(one), []).append((at_ms, one))
        # Whatever was said came in the transaction that took in the record it is about.
        self._reached = max([self.said.reached or 0, *(self.through(one) + 1 for _, one in own)])
        self._earlier = len(self.said.messages) - len(own)

    def must(self, one: T, at_ms: int) -> None:
        """This follows from the log, of which the record with its last row was appended at that time."""
        found = self._open.get(self.key(one), [])
        if found:
            self.looked_at += 1
            if not self.alike(found.pop(0)[1], one):
                self._wrong.append(self.name(one))
        elif self.through(one) >= self._reached:
            self.pending += 1
        elif at_ms <= self.said.kept_since_ms:
            self._expired += 1
        else:
            self.looked_at += 1
            self._lost.append(self.name(one))

    def findings(self) -> list[Finding]:
        """After all that must have been said."""
        left = [(at_ms, one) for rest in self._open.values() for at_ms, one in rest]
        beyond = [self.name(one) for at_ms, one in left if at_ms >= self.first_ms]
        noun = self.said.noun
        return [
            listed(PROMISE, f"no {noun} is lost", self.looked_at, self._lost),
            listed(PROMISE, f"{noun}s follow from {self.log}", self.looked_at, self._wrong + beyond),
        ]

    def unjudged(self) -> list[Unjudged]:
        """What could not be held against anything."""
        earlier = self._earlier + sum(at_ms < self.first_ms for rest in self._open.values() for at_ms, _ in rest)
        noun = self.said.noun
        return [
            Unjudged(f"{noun}s", earlier, f"{noun}s of what {self.log} held before its first record now"),
            Unjudged(f"{noun}s", self._expired, f"{noun}s that must have been there and may have expired"),
        ]
