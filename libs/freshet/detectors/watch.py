"""The fold of the labelled log that all detectors share: records in, alarms out, and a state that is a value."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Final

from freshet.contracts.errors import ContractError
from freshet.contracts.messages import Alarm
from freshet.detectors.alarm_of_finding import KEPT, Recent, alarm_of
from freshet.detectors.detector import Detector, Finding
from freshet.detectors.observing import LogRecord, ObservingState, observe
from freshet.outcomes.continuity import next_rows

_MUCH_LARGER: Final = 3.0  # errors in runs reach twice as much by chance


@dataclass(frozen=True, slots=True)
class WatchState:
    """The state after the records so far."""

    number: int = 0
    """The number of the newest specification that a record was made under. Its detectors are the ones that watch."""
    next_rows: Mapping[int, int] = field(default_factory=dict)
    """The next row of each partition."""
    observing: ObservingState = field(default_factory=ObservingState)
    recent: Recent = field(default_factory=Recent.none)
    parts: Mapping[str, Any] = field(default_factory=dict)
    """The state of each detector, by kind and parameters."""
    told: Mapping[str, int] = field(default_factory=dict)
    """By subject and level, the row of the last alarm."""
    effects: Mapping[str, float] = field(default_factory=dict)
    """The effect of that alarm."""
    episode: str = ""
    """Id of its first alarm."""
    episode_end: int = 0
    """An alarm from this row on begins a new episode."""


class Watch:
    """Folds the labelled log of one pipeline under the detectors that its specification names.

    A specification holds from the first record that was made under it, so the log alone decides when. Folding it again,
    with the same specifications and promises, gives the same alarms.
    """

    def __init__(
        self, pipeline: str, detectors: Mapping[int, Sequence[Detector]], promises: Mapping[str, float | None]
    ) -> None:
        """`detectors` are those of each specification, by its number; `promises` the errors that versions were
        published with. Both may grow between calls.
        """
        self._pipeline, self._detectors, self._promises = pipeline, detectors, promises

    def lacks(self, records: Sequence[LogRecord]) -> str:
        """Which specification must be known before these records can be folded; empty if none is missing."""
        missing = (record.number for _, _, record in records if record.number not in self._detectors)
        return next((f"specification {number}" for number in missing), "")

    def unheard(self, records: Sequence[LogRecord]) -> set[str]:
        """Versions of which nothing is known. `fold` leaves their rows out, as those of versions that never were."""
        return {version for _, _, record in records for version in record.versions} - self._promises.keys()

    def fold(self, state: WatchState, records: Sequence[LogRecord]) -> tuple[WatchState, list[Alarm]]:
        """The state after these records, and the alarms that they raise, in order.

        Raises ContractError where the log is not whole.
        """
        alarms: list[Alarm] = []
        for number, group in groupby(_numbered(state.number, records), lambda pair: pair[0]):
            state, more = self._under(number, state, [record for _, record in group])
            alarms += more
        return state, alarms

    def _under(self, number: int, state: WatchState, records: Sequence[LogRecord]) -> tuple[WatchState, list[Alarm]]:
        """`fold` for records under one specification."""
        due = state.next_rows
        for offset, _, record in records:
            due = next_rows(due, record, offset)
        row = state.observing.row
        observing, observed, seen = observe(state.observing, records, self._promises)
        recent = state.recent.then(seen)
        parts, found = {}, list[tuple[Finding, Detector]]()
        for detector in self._detectors[number]:
            key = _key(detector)
            before = state.parts[key] if key in state.parts else detector.begin(row)
            parts[key], findings = detector.rows(before, observed)
            found += [(finding, detector) for finding in findings]
        found.sort(key=lambda pair: (pair[0].offset, pair[0].test[1]))
        at_ms = {offset: time_ms for offset, time_ms, _ in records}
        state = replace(state, number=number, next_rows=due, observing=observing, parts=parts)
        alarms: list[Alarm] = []
        for finding, detector in found:
            alarm = alarm_of(self._pipeline, detector, finding, recent, at_ms[finding.offset])
            state, told = _told(state, alarm, detector.cool_down)
            alarms += told
        return replace(state, recent=recent.take(slice(-KEPT, None))), alarms

    def dump(self, state: WatchState) -> bytes:
        """The state for a checkpoint. The same state gives the same bytes."""
        parts = {
            "number": state.number,
            "next_rows": state.next_rows,
            "observing": state.observing.values(),
            "recent": state.recent.values(),
            "parts": {
                _key(detector): base64.b64encode(detector.dump(state.parts[_key(detector)])).decode()
                for detector in self._detectors.get(state.number, ())
                if _key(detector) in state.parts
            },
            "told": state.told,
            "effects": state.effects,
            "episode": state.episode,
            "episode_end": state.episode_end,
        }
        return json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()

    def load(self, data: bytes) -> WatchState:
        """The state that gave these bytes. Raises ContractError where the specification that it rests on is unknown."""
        parts = json.loads(data)
        if parts["number"] and parts["number"] not in self._detectors:
            raise ContractError(
                f"the detectors of pipeline {self._pipeline!r} watched under specification {parts['number']}, which is "
                "unknown or cannot be read here. Install what it needs."
            )
        return WatchState(
            parts["number"],
            {int(partition): row for partition, row in parts["next_rows"].items()},
            ObservingState.of(parts["observing"]),
            Recent.of(parts["recent"]),
            {
                _key(detector): detector.load(base64.b64decode(parts["parts"][_key(detector)]))
                for detector in self._detectors.get(parts["number"], ())
                if _key(detector) in parts["parts"]
            },
            parts["told"],
            parts.get("effects", {}),  # what an older release kept has none
            parts["episode"],
            parts["episode_end"],
        )


def _numbered(number: int, records: Sequence[LogRecord]) -> Iterator[tuple[int, LogRecord]]:
    """Each record with the newest specification number up to it: partitions change to a new one at different times."""
    for record in records:
        number = max(number, record.record.number)
        yield number, record


def _key(detector: Detector) -> str:
    """The key of a detector's state: one with other parameters begins anew, the others go on."""
    text = json.dumps([detector.kind, detector.parameters], sort_keys=True)
    return f"{detector.kind} {hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _told(state: WatchState, alarm: Alarm, cool_down: int) -> tuple[WatchState, list[Alarm]]:
    """The alarm as part of its episode; no alarm while the detector may not raise another.

    One that is sure, of a change three times as large as the last one, is another cause or worth a second look.
    """
    subject = f"{alarm.detector} {alarm.subject} "
    levels = ("detected",) if alarm.level == "detected" else ("suspected", "detected")
    last = {subject + level: state.told.get(subject + level, -cool_down) for level in levels}
    within = [name for name, row in last.items() if alarm.test_to < row + cool_down]
    is_larger = alarm.level == "detected" and all(
        abs(alarm.effect) >= _MUCH_LARGER * abs(state.effects.get(name, alarm.effect)) for name in within
    )
    if within and not is_larger:
        return state, []
    goes_on = state.episode and alarm.test_to < state.episode_end
    alarm = alarm.model_copy(update={"episode": state.episode if goes_on else alarm.id})
    told = {**state.told, subject + alarm.level: alarm.test_to}
    effects = {**state.effects, subject + alarm.level: alarm.effect}
    end = max(state.episode_end, alarm.test_to + cool_down)
    return replace(state, told=told, effects=effects, episode=alarm.episode, episode_end=end), [alarm]
