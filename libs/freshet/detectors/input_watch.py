"""The fold of frames that all their detectors share: frames in, alarms out, and a state that is a value."""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from freshet.contracts.errors import ContractError
from freshet.contracts.messages import Alarm
from freshet.detectors.alarm_of_finding import Circumstances, first_alarm
from freshet.detectors.input_detector import InputDetector, InputFinding
from freshet.detectors.input_series import Series, TrainedOn
from freshet.profiles.bin_edges import BinEdges
from freshet.profiles.frame_content import FrameContent
from freshet.profiles.frame_records import PlacedFrame, next_offsets

_ATTRIBUTED: Final = 8
"""So many columns of an alarm are named with their shares."""


class Setting(Protocol):
    """What a specification says of profiles."""

    @property
    def window(self) -> int: ...
    @property
    def reference(self) -> int: ...
    @property
    def detectors(self) -> Sequence[InputDetector]: ...


@dataclass(frozen=True, slots=True)
class InputWatchState:
    """The state after the frames so far."""

    number: int = 0
    """The newest specification that a frame was made under. Its detectors are the ones that watch."""
    next_offsets: Mapping[str, int] = field(default_factory=dict)
    """Where the next frame of each kind, topic and partition begins."""
    series: Mapping[str, Series] = field(
        default_factory=lambda: {"features": Series("features"), "answers": Series("answers")}
    )
    parts: Mapping[str, Any] = field(default_factory=dict)
    """The state of each detector, by kind and parameters."""
    versions: tuple[str, ...] = ()
    """The versions that have answered, in the order in which they first did."""
    told: Mapping[str, int] = field(default_factory=dict)
    """By what an alarm was about, up to which row no other of that is told."""
    episodes: Mapping[str, str] = field(default_factory=dict)
    """By kind of frames, the newest episode: rows of features are not rows of answers, so each kind has its own."""
    episode_ends: Mapping[str, int] = field(default_factory=dict)
    """By kind of frames, the row from which on an alarm begins a new episode."""


class InputWatch:
    """Folds the log of profiles of one pipeline under the detectors that its specification names.

    A specification holds from the first frame that was made under it. Folding the log again, with the same
    specifications, edges and versions, gives the same alarms.
    """

    def __init__(
        self,
        pipeline: str,
        settings: Mapping[int, Setting],
        edges: Mapping[str, BinEdges],
        trained: Mapping[str, TrainedOn | None],
    ) -> None:
        """By number of the specification, id, and version; all of them may grow between calls."""
        self._pipeline, self._settings, self._edges, self._trained = pipeline, settings, edges, trained

    def lacks(self, frames: Sequence[PlacedFrame]) -> str:
        """What must be known before these frames can be folded; empty if nothing is missing."""
        for _, _, frame in frames:
            if frame.number not in self._settings:
                return f"specification {frame.number}"
            if frame.edges and frame.edges not in self._edges:
                return f"edges {frame.edges}"
        return ""

    def unheard(self, frames: Sequence[PlacedFrame]) -> set[str]:
        """Versions of which nothing is known. `fold` leaves their rows out, as those of versions that never were."""
        return {version for _, _, frame in frames for version in frame.versions if version} - self._trained.keys()

    def fold(self, state: InputWatchState, frames: Sequence[PlacedFrame]) -> tuple[InputWatchState, list[Alarm]]:
        """The state after these frames, and the alarms that they raise, in order.

        Raises ContractError where the log is not whole.
        """
        alarms: list[Alarm] = []
        for placed in frames:
            state, more = self._with(state, placed)
            alarms += more
        return state, alarms

    def _with(self, state: InputWatchState, placed: PlacedFrame) -> tuple[InputWatchState, list[Alarm]]:
        due = next_offsets(state.next_offsets, [placed])
        number = max(state.number, placed.frame.number)
        if strange := self.unheard([placed]):
            content = FrameContent.of(placed.frame).without_versions(strange)
            if not content.versions:
                return replace(state, number=number, next_offsets=due), []
            placed = placed._replace(frame=placed.frame.model_copy(update=content.fields()))
        setting, kind = self._settings[number], placed.frame.kind
        state = replace(self._with_versions(state, placed), number=number, next_offsets=due)
        before = state.series[kind]
        series, look = before.then(placed, rows=setting.window, windows=setting.reference, edges=self._edges.get)
        parts, found = {}, list[tuple[InputDetector, InputFinding]]()
        for detector in setting.detectors:
            key = _key(detector)
            part = state.parts[key] if key in state.parts else detector.begin()
            part, findings = detector.frame(part, placed, before.row)
            found += [(detector, one) for one in findings]
            if look is not None and detector.reads == kind:
                part, findings = detector.window(part, look)
                found += [(detector, one) for one in findings]
            parts[key] = part
        state, alarms, is_new = replace(state, parts=parts), list[Alarm](), False
        for detector, one in found:
            state, told = self._told(state, detector, one, placed)
            alarms += told
            is_new = is_new or (one.begins_anew and bool(told))  # what nobody was told is not learned as usual
        series = series.begun_anew() if is_new else series
        return replace(state, series={**state.series, kind: series}), alarms

    def _with_versions(self, state: InputWatchState, placed: PlacedFrame) -> InputWatchState:
        """A version that answers for the first time brings what it learned from as the reference of features."""
        for version in placed.frame.versions:
            if not version or version in state.versions:
                continue
            state = replace(state, versions=(*state.versions, version))
            if on := self._trained[version]:
                features = state.series["features"].trained(on)
                state = replace(state, series={**state.series, "features": features})
        return state

    def _told(
        self, state: InputWatchState, detector: InputDetector, found: InputFinding, placed: PlacedFrame
    ) -> tuple[InputWatchState, list[Alarm]]:
        """The alarm as part of its episode; none while all that it is about has been told already."""
        finding, kind = found.finding, placed.frame.kind
        levels = ("detected",) if finding.level == "detected" else ("suspected", "detected")
        row = finding.test[1]
        names = [f"{kind} {name} " for name in found.attribution]
        if all(any(row <= state.told.get(name + level, -1) for level in levels) for name in names):
            return state, []
        most = sorted(found.attribution.items(), key=lambda pair: -pair[1])[:_ATTRIBUTED]
        since = {str(partition): at for partition, at in sorted(found.since.items())}
        around = Circumstances(since, dict(most), found.epochs, found.cause)
        alarm = first_alarm(self._pipeline, detector, finding, around, placed.at_ms)
        goes_on = kind in state.episodes and row <= state.episode_ends[kind]
        episode = state.episodes[kind] if goes_on else alarm.id
        until = row + detector.cool_down
        state = replace(
            state,
            told={
                **state.told,
                **{(key := name + finding.level): max(until, state.told.get(key, 0)) for name in names},
            },
            episodes={**state.episodes, kind: episode},
            episode_ends={**state.episode_ends, kind: max(until, state.episode_ends.get(kind, 0))},
        )
        alarm = alarm.model_copy(update={"episode": episode, "watched": kind})
        return state, [alarm]

    def dump(self, state: InputWatchState) -> bytes:
        """The state for a checkpoint. The same state gives the same bytes."""
        values = {
            "number": state.number,
            "next_offsets": state.next_offsets,
            "series": {kind: series.values() for kind, series in state.series.items()},
            "parts": state.parts,
            "versions": state.versions,
            "told": state.told,
            "episodes": state.episodes,
            "episode_ends": state.episode_ends,
        }
        return zlib.compress(json.dumps(values, sort_keys=True, separators=(",", ":")).encode())

    def load(self, data: bytes) -> InputWatchState:
        """The state that gave these bytes. Raises ContractError where the specification that it rests on is unknown."""
        values = json.loads(zlib.decompress(data))
        if values["number"] and values["number"] not in self._settings:
            raise ContractError(
                f"profiles of pipeline {self._pipeline!r} were compared under specification {values['number']}, which "
                "is unknown or cannot be read here. Install what it needs."
            )
        series = {kind: Series.of(one) for kind, one in values["series"].items()}
        if "episode" in values:  # an older release kept one for all kinds
            values["episodes"] = dict.fromkeys(values["episode_ends"], values.pop("episode"))
        return InputWatchState(**{**values, "series": series, "versions": tuple(values["versions"])})


def _key(detector: InputDetector) -> str:
    """One with other parameters begins anew, the others go on."""
    return json.dumps([detector.kind, detector.parameters], sort_keys=True)
