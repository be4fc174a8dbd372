"""Alarms as they were told, and as the logs give them again, under the same parameters or others."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeVar

from pydantic import ValidationError

from freshet.avro.control import decode
from freshet.contracts.batch import Batch
from freshet.contracts.errors import ContractError
from freshet.contracts.messages import Alarm
from freshet.detectors.alarming_part import AlarmingPart
from freshet.detectors.observing import LogRecord
from freshet.detectors.watch import Watch, WatchState
from freshet.operate.facts import read
from freshet.operate.operate_error import OperateError
from freshet.operate.profile_log import facts_of, first_offset, refolded
from freshet.outcomes.outcome_records import OUTCOMES, records_of
from freshet.pipeline.watched import ROLES, WatchedFacts
from freshet.runtime.bus.protocol import Bus
from freshet.runtime.reading import everything

P = TypeVar("P", bound=AlarmingPart)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a fold of the labelled log, and of the profiles, gave."""

    alarms: Sequence[Alarm]
    rows: int
    """Rows of the labelled log that were folded."""
    first_offset: int
    """Where a log begins; above 0 its beginning has expired, and ids differ from those told."""
    frames: int = 0
    """Frames of the profiles that were folded."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a replay under the same parameters compares with what was told; ids, each in order."""

    same: Sequence[str]
    only_told: Sequence[str]
    only_replayed: Sequence[str]
    newer: Sequence[str]
    """Of rows behind the last alarm that was told: detection may not be there yet."""


def told(bus: Bus, pipeline: str) -> list[Alarm]:
    """The alarms of a pipeline on `freshet.alarms`, in order, each once; what cannot be read is passed over."""
    found: dict[str, Alarm] = {}
    for _, alarm in every_telling(bus, pipeline):
        found.setdefault(alarm.id, alarm)
    return list(found.values())


def every_telling(bus: Bus, pipeline: str) -> Iterator[tuple[int, Alarm]]:
    """Each record of an alarm under the pipeline's key that can be read, with when it was appended."""
    for batch in everything(bus, "alarms"):
        for key, value, at_ms in zip(batch.keys, batch.values, batch.timestamps_ms.tolist(), strict=True):
            if key != pipeline.encode() or value is None:
                continue
            try:
                alarm = decode("alarms", value)
            except ContractError:
                continue
            assert isinstance(alarm, Alarm)
            yield at_ms, alarm


def alarm_named(alarms: Sequence[Alarm], number: str) -> Alarm:
    """The alarm whose id begins so. Raises OperateError if none does, or several."""
    found = [alarm for alarm in alarms if alarm.id.startswith(number)]
    if len(found) != 1:
        what = f"{len(found)} alarms have ids that begin" if found else "no alarm has an id that begins"
        raise OperateError(f"{what} with {number!r}; `freshet alarms list` shows them.", "usage")
    return found[0]


class ReplayChange(NamedTuple):
    """Fields of the detectors of one kind that are changed for a replay; nothing is changed by default."""

    kind: str = ""
    fields: Mapping[str, str] = {}


def replay(bus: Bus, pipeline: str, kind: str = "", changes: Mapping[str, str] | None = None) -> Replayed:
    """`replays` with one change, or none."""
    return replays(bus, pipeline, [ReplayChange(kind, changes or {})])[0]


def replays(bus: Bus, pipeline: str, asked: Sequence[ReplayChange]) -> list[Replayed]:
    """Fold the labelled log and the profiles, from where they begin, as `drift-detect` and `drift-compare` do.

    Each log is read once, however many changes are asked about; of a log that detectors of that kind do not watch the
    alarms stay. Raises OperateError if no specification has such a detector or field, or if a log names what is not
    known, and ContractError where it is not whole.
    """
    facts, inputs = WatchedFacts(pipeline), facts_of(bus, pipeline)
    for fact in read(bus, *ROLES):
        facts.fold(fact)
    every = [*facts.detectors.values(), *(spec.detectors for spec in inputs.profiles.values())]
    kinds = {detector.kind for parts in every for detector in parts}
    for one in asked:
        if one.kind and one.kind not in kinds:
            known = ", ".join(sorted(kinds))
            raise OperateError(f"no detector of the pipeline is of the kind {one.kind!r}: {known}.", "usage")
    labelled = _labelled(bus, pipeline, facts, asked)
    profiles = refolded(bus, pipeline, inputs, [partial(_changed, asked=one) for one in asked])
    return [
        Replayed([*rows.alarms, *frames.alarms], rows.rows, rows.first_offset or frames.first_offset, frames.frames)
        for rows, frames in zip(labelled, profiles, strict=True)
    ]


def _labelled(bus: Bus, pipeline: str, facts: WatchedFacts, asked: Sequence[ReplayChange]) -> list[Replayed]:
    """What the folds of the labelled log give."""
    watches = [
        Watch(
            pipeline, {number: _changed(parts, asked=one) for number, parts in facts.detectors.items()}, facts.promises
        )
        for one in asked
    ]
    states, alarms = [WatchState() for _ in asked], [list[Alarm]() for _ in asked]
    begins = first_offset(bus, OUTCOMES)
    for batch in everything(bus, OUTCOMES):
        records = list(_records(pipeline, batch))
        if lacking := watches[0].lacks(records):
            raise OperateError(f"the labelled log names {lacking}, which no topic tells.{facts.unreadable}", "failed")
        for at, watch in enumerate(watches):
            states[at], more = watch.fold(states[at], records)
            alarms[at] += more
    return [Replayed(found, state.observing.row, begins) for found, state in zip(alarms, states, strict=True)]


def agreement(told_alarms: Sequence[Alarm], replayed: Sequence[Alarm]) -> Agreement:
    """Whether the same alarms were raised."""
    before, again = {alarm.id for alarm in told_alarms}, {alarm.id for alarm in replayed}
    last: dict[bool, int] = {}
    for alarm in told_alarms:
        last[_of_labels(alarm)] = max(alarm.through, last.get(_of_labels(alarm), -1))
    more = [alarm for alarm in replayed if alarm.id not in before]
    newer = {alarm.id for alarm in more if alarm.through > last.get(_of_labels(alarm), -1)}
    return Agreement(
        same=[alarm.id for alarm in told_alarms if alarm.id in again],
        only_told=[alarm.id for alarm in told_alarms if alarm.id not in again],
        only_replayed=[alarm.id for alarm in more if alarm.id not in newer],
        newer=[alarm.id for alarm in more if alarm.id in newer],
    )


def _of_labels(alarm: Alarm) -> bool:
    """Whether it is about the labelled log: offsets of the two logs do not compare."""
    return alarm.watched == OUTCOMES


def _records(pipeline: str, batch: Batch) -> Iterator[LogRecord]:
    offsets, times_ms = batch.offsets.tolist(), batch.timestamps_ms.tolist()
    for row, record in records_of(pipeline, batch).records:
        yield LogRecord(offsets[row], times_ms[row], record)


def _changed(parts: Sequence[P], *, asked: ReplayChange) -> Sequence[P]:
    """These detectors, with the fields that are asked about."""
    return [_with(part, asked.fields) if part.kind == asked.kind else part for part in parts]


def _with(detector: P, changes: Mapping[str, str]) -> P:
    fields = {detector.threshold_field if name == "threshold" else name: value for name, value in changes.items()}
    try:
        return type(detector).model_validate_strings(detector.parameters | fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        known = ", ".join(f"{name} ({value} now)" for name, value in detector.parameters.items())
        raise OperateError(f"{detector.kind}, {where}: {first['msg']}. Its fields are {known}.", "usage") from error
