"""Alarms as they were told, and as the labelled log gives them again, under the same parameters or others."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from freshet.avro.control import decode
from freshet.contracts.batch import Batch
from freshet.contracts.errors import ContractError
from freshet.contracts.messages import Alarm
from freshet.detectors.detector import Detector
from freshet.detectors.observing import LogRecord
from freshet.detectors.watch import Watch, WatchState
from freshet.operate.facts import read
from freshet.operate.operate_error import OperateError
from freshet.outcomes.outcome_records import OUTCOMES, records_of
from freshet.pipeline.watched import ROLES, WatchedFacts
from freshet.runtime.bus.protocol import Bus
from freshet.runtime.reading import everything


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a fold of the labelled log gave."""

    alarms: Sequence[Alarm]
    rows: int
    """Rows that were folded."""
    first_offset: int
    """Where the log begins; above 0 its beginning has expired, and ids differ from those told."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a replay under the same parameters compares with what was told; ids, each in order."""

    same: Sequence[str]
    only_told: Sequence[str]
    only_replayed: Sequence[str]
    newer: Sequence[str]
    """Of rows behind the last alarm that was told: detection may not be there yet."""


def told(bus: Bus, pipeline: str) -> list[Alarm]:
    """The alarms of a pipeline on `freshet.alarms`, in order; records that cannot be read are passed over."""
    found: list[Alarm] = []
    for batch in everything(bus, "alarms"):
        for key, value in zip(batch.keys, batch.values, strict=True):
            if key != pipeline.encode() or value is None:
                continue
            try:
                alarm = decode("alarms", value)
            except ContractError:
                continue
            assert isinstance(alarm, Alarm)
            found.append(alarm)
    return found


def alarm_named(alarms: Sequence[Alarm], number: str) -> Alarm:
    """The alarm whose id begins so. Raises OperateError if none does, or several."""
    found = [alarm for alarm in alarms if alarm.id.startswith(number)]
    if len(found) != 1:
        what = f"{len(found)} alarms have ids that begin" if found else "no alarm has an id that begins"
        raise OperateError(f"{what} with {number!r}; `freshet alarms list` shows them.", "usage")
    return found[0]


def replay(bus: Bus, pipeline: str, kind: str = "", changes: Mapping[str, str] | None = None) -> Replayed:
    """Fold the labelled log, from where it begins, as `drift-detect` does; with these fields of `kind` changed.

    Raises OperateError if no specification has such a detector or field, or if the log names what is not known, and
    ContractError where the log is not whole.
    """
    facts = WatchedFacts(pipeline)
    for fact in read(bus, *ROLES):
        facts.fold(fact)
    if kind:
        facts.detectors = _changed(facts.detectors, kind, changes or {})
    watch, state, alarms = Watch(pipeline, facts.detectors, facts.promises), WatchState(), list[Alarm]()
    first_offset = 0
    for batch in everything(bus, OUTCOMES):
        if not state.number:
            first_offset = int(batch.offsets[0])
        records = list(_records(pipeline, batch))
        if lacking := watch.lacks(records):
            raise OperateError(f"the labelled log names {lacking}, which no topic tells.{facts.unreadable}", "failed")
        state, more = watch.fold(state, records)
        alarms += more
    return Replayed(alarms, state.observing.row, first_offset)


def agreement(told_alarms: Sequence[Alarm], replayed: Sequence[Alarm]) -> Agreement:
    """Whether the same alarms were raised."""
    before, again = {alarm.id for alarm in told_alarms}, {alarm.id for alarm in replayed}
    last = max((alarm.through for alarm in told_alarms), default=-1)
    more = [alarm for alarm in replayed if alarm.id not in before]
    return Agreement(
        same=[alarm.id for alarm in told_alarms if alarm.id in again],
        only_told=[alarm.id for alarm in told_alarms if alarm.id not in again],
        only_replayed=[alarm.id for alarm in more if alarm.through <= last],
        newer=[alarm.id for alarm in more if alarm.through > last],
    )


def _records(pipeline: str, batch: Batch) -> Iterator[LogRecord]:
    offsets, times_ms = batch.offsets.tolist(), batch.timestamps_ms.tolist()
    for row, record in records_of(pipeline, batch).records:
        yield LogRecord(offsets[row], times_ms[row], record)


def _changed(
    detectors: Mapping[int, Sequence[Detector]], kind: str, changes: Mapping[str, str]
) -> dict[int, Sequence[Detector]]:
    """Each specification's detectors, those of this kind with these fields."""
    kinds = {detector.kind for parts in detectors.values() for detector in parts}
    if kind not in kinds:
        raise OperateError(f"no detector of the pipeline is of the kind {kind!r}: {', '.join(sorted(kinds))}.", "usage")
    return {
        number: [_with(detector, changes) if detector.kind == kind else detector for detector in parts]
        for number, parts in detectors.items()
    }


def _with(detector: Detector, changes: Mapping[str, str]) -> Detector:
    fields = {detector.threshold_field if name == "threshold" else name: value for name, value in changes.items()}
    try:
        return type(detector).model_validate_strings(detector.parameters | fields)
    except ValidationError as error:
        first = error.errors()[0]
        where, known = ".".join(map(str, first["loc"])), ", ".join(detector.parameters)
        raise OperateError(f"{detector.kind}, {where}: {first['msg']}. Its fields are {known}.", "usage") from error
