"""The epochs of one pipeline: which is live, which are being prepared, and who answers under each."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from freshet.contracts.messages import Command, Rollout
from freshet.contracts.position import Position
from freshet.ledger.life_tables import EPOCH, UNKNOWN
from freshet.ledger.taken_numbers import TakenNumbers

_ROLLBACK: Final = "rollback"
_COMMANDED: Final = frozenset({_ROLLBACK, "promote", "pause", "resume"})
"""Causes that are an operator's command."""

_OF_REGISTRIES: Final = (
    "epoch {epoch} of {pipeline} was issued {how}: the last record is in force. Two registries have decided; stop one "
    "of them and issue a new epoch."
)
_OF_ANYBODY: Final = (
    "epoch {epoch} of {pipeline} is on the topic {how}; the last record is shown. One may be a stranger's, which "
    "registry and workers do not believe: only signatures tell. Look again with the trust file: `--trust FILE` of "
    "`freshet model status` and `freshet verify`, or FRESHET_TRUST."
)


@dataclass(frozen=True, slots=True)
class Answerer:
    """Who answers one entry of an epoch's table at a position in history."""

    version: str
    """Empty if nobody may: the entry is in fallback and has no understudy."""
    spare: str
    """Who answers rows that `version` lacks inputs of; empty if nobody does."""


@dataclass(frozen=True, slots=True)
class Tenure:
    """An epoch that was in force, from when on, and until when; None while it is."""

    rollout: Rollout
    since_ms: int
    until_ms: int | None


def answerers(rollout: Rollout, fallback: int = 0) -> tuple[Answerer, ...]:
    """Who answers under an epoch, for each entry of its table; none while no model serves.

    `fallback` is a bit mask over the table: bit i is set where entry i is answered by its understudy.
    """
    found = []
    for at, share in enumerate(rollout.table):
        understudy = rollout.understudies.get(share.version, "")
        found.append(Answerer(understudy, "") if fallback >> at & 1 else Answerer(share.version, understudy))
    return tuple(found)


def champion(rollout: Rollout | None) -> str:
    """The version whose answer counts under an epoch; empty while no model serves."""
    return rollout.table[0].version if rollout and rollout.table else ""


def understudy(rollout: Rollout | None) -> str:
    """Who stands in for the champion; empty if nobody does."""
    return rollout.understudies.get(champion(rollout), "") if rollout else ""


def named_by(rollout: Rollout) -> list[str]:
    """All versions that an epoch wants in memory: who answers, who stands in, who may be returned to."""
    answering = [share.version for share in rollout.table]
    return list(dict.fromkeys([*answering, *rollout.understudies.values(), *rollout.resident]))


class Cause(NamedTuple):
    """Why an epoch is made: in a word or two, and the command that asked for it, if one did."""

    what: str
    command_id: str = ""

    @classmethod
    def of(cls, command: Command) -> "Cause":
        """An operator's wish."""
        return cls(command.action, command.command_id)


def _own_of_each_phase(record: Rollout) -> dict[str, object]:
    """What may differ between two records of one epoch."""
    return {"phase": record.phase, "signatures": record.signatures}


def _with_command(record: Rollout) -> Rollout:
    """The record as it is written now: earlier releases put the command's id behind its action, into the cause."""
    action, _, command_id = record.cause.partition(" ")
    if record.command_id or not command_id or action not in _COMMANDED:
        return record
    return record.model_copy(update={"cause": action, "command_id": command_id})


class Epochs:
    """Folds the records of all epochs; the last record of a number is in force, as compaction leaves it.

    A pipeline that learns for years has many thousand epochs. What is asked at each turn is kept as records arrive, so
    that no question walks over all of them. Only a contradiction (one number with two contents, or live and aborted)
    makes everything be derived anew.
    """

    def __init__(self, pipeline: str) -> None:
        self._pipeline = pipeline
        self.alarm = ""
        """The last contradiction, in a sentence; it stays."""
        self.forget()

    def forget(self) -> None:
        """The pipeline was deleted: nothing is known of any epoch any more."""
        self.records: dict[int, Rollout] = {}
        self.overruled: dict[int, list[Rollout]] = {}
        """By epoch: records that a later one contradicted, in their order."""
        self.tried: set[str] = set()
        """Versions that any epoch's table has named."""
        self._taken = TakenNumbers()
        self._at_ms: dict[int, int] = {}
        self._derive_nothing()

    def _derive_nothing(self) -> None:
        self.live: Rollout | None = None
        self._last = 0
        self._open: set[int] = set()
        self._lives: list[int] = []
        self._led: dict[str, tuple[int, int]] = {}
        """The first and the last live epoch of which a version was the champion."""

    def fold(self, record: Rollout, timestamp_ms: int = 0, *, vouched: bool = False) -> Collection[str]:
        """Take in a record. Returns the versions whose last service, or the end of it, is another one now.

        `vouched`: its signature was judged, and is good.
        """
        record = _with_command(record)
        known = self.records.get(record.epoch)
        phase = known.phase if known else UNKNOWN
        same = known is None or known.model_copy(update=_own_of_each_phase(record)) == record
        if known is not None and not (same and EPOCH.allows(phase, record.phase)):
            how = f"as {phase} and as {record.phase}" if same else "with two contents"
            registries = vouched or not (known.signatures or record.signatures)
            told = _OF_REGISTRIES if registries else _OF_ANYBODY
            self.alarm = told.format(epoch=known.epoch, pipeline=self._pipeline, how=how)
            return self._contradicted(known, record, timestamp_ms)
        if EPOCH.move(phase, record.phase).effect == "keep":
            return ()
        return self._take(record, timestamp_ms)

    def _take(self, record: Rollout, timestamp_ms: int) -> Collection[str]:
        epoch, version = record.epoch, champion(record)
        self.records[epoch], self._at_ms[epoch] = record, timestamp_ms
        self._last = max(self._last, epoch)
        self.tried.update(share.version for share in record.table)
        if record.phase == "prepare":
            self._open.add(epoch)
            return ()
        self._open.discard(epoch)
        if record.phase == "aborted":
            return ()
        insort(self._lives, epoch)
        if self.live is None or epoch > self.live.epoch:
            self.live = record
        if version:
            first, last = self._led.get(version, (epoch, epoch))
            self._led[version] = (min(first, epoch), max(last, epoch))
        at = bisect_left(self._lives, epoch)
        return {version, champion(self.records[self._lives[at - 1]]) if at else ""} - {""}

    def _contradicted(self, known: Rollout, record: Rollout, timestamp_ms: int) -> Collection[str]:
        self.overruled.setdefault(known.epoch, []).append(known)
        led = set(self._led)
        self.records[known.epoch], self._at_ms[known.epoch] = record, timestamp_ms
        self._derive_nothing()
        for each in list(self.records.values()):
            self._take(each, self._at_ms[each.epoch])
        return led | set(self._led)

    @property
    def open(self) -> list[Rollout]:
        """Epochs that are being prepared, the lowest first."""
        return [self.records[epoch] for epoch in sorted(self._open)]

    @property
    def live_epoch(self) -> int:
        """The number of the live epoch; 0 before the first."""
        return self.live.epoch if self.live else 0

    def free_above(self, number: int = 0) -> int:
        """A free number above this one and above all that were ever used, aborted ones included."""
        return self._taken.free_from(max(self._last, number) + 1)

    def take(self, number: int) -> None:
        """A record with this number in its key is or was on the topic: never give it, whatever the record says."""
        self._taken.add(number)

    def free_numbers(self) -> None:
        """Numbers are free again where no epoch is known."""
        if not self.records:
            self._taken = TakenNumbers()

    @property
    def paused(self) -> bool:
        """Whether no rollout may start."""
        return self.live is not None and self.live.paused

    @property
    def serving(self) -> str:
        """The champion of the live epoch; empty while no model serves."""
        return champion(self.live)

    def asked(self) -> list[Rollout]:
        """Epochs whose models must be in memory: the live one, then what is being prepared to follow it."""
        live = [self.live] if self.live else []
        return live + [rollout for rollout in self.open if rollout.epoch > self.live_epoch]

    def since_ms(self, epoch: int) -> int:
        """When the broker got the record by which this epoch is what it is: prepared, live or aborted."""
        return self._at_ms[epoch]

    def was_live(self, epoch: int) -> Rollout | None:
        """The epoch's record if it is or was live."""
        rollout = self.records.get(epoch)
        return rollout if rollout and rollout.phase == "live" else None

    def answerers(self, position: Position) -> tuple[Answerer, ...]:
        """Who answers at a position in history, for each entry of its epoch's table; none if it never went live."""
        rollout = self.was_live(position.epoch)
        return answerers(rollout, position.fallback) if rollout else ()

    def champion(self, epoch: int) -> str:
        """The champion of an epoch that is or was live; empty if there is none."""
        return champion(self.was_live(epoch))

    def understudy(self, epoch: int) -> str:
        """Who stands in for the champion of an epoch that is or was live; empty if nobody does."""
        return understudy(self.was_live(epoch))

    def told(self, epoch: int) -> Sequence[Rollout]:
        """All that this number was given, the record in force last; several only after contradictions."""
        return [*self.overruled.get(epoch, ()), *([self.records[epoch]] if epoch in self.records else [])]

    def last_led(self, version: str) -> int:
        """The last live epoch with this champion; 0 if it never was one."""
        return self._led.get(version, (0, 0))[1]

    def left_behind(self, version: str) -> bool:
        """Whether a rollback ended the last time that this version served."""
        at = bisect_right(self._lives, self.last_led(version))
        return 0 < at < len(self._lives) and self.records[self._lives[at]].cause == _ROLLBACK

    def is_return(self, epoch: int, since: int) -> bool:
        """Whether the epoch goes back to a champion that had answered before the epoch `since`."""
        found = self.champion(epoch)
        return bool(found) and found != self.champion(since) and self._led[found][0] < since

    def history(self) -> Iterator[Tenure]:
        """Which epoch was in force when, the first one first."""
        times = [self._at_ms[epoch] for epoch in self._lives]
        for epoch, since_ms, until_ms in zip(self._lives, times, [*times[1:], None][: len(times)], strict=True):
            yield Tenure(self.records[epoch], since_ms, until_ms)
