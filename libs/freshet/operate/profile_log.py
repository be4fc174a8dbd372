"""The log of profiles read back: its frames, what is known beside them, and the alarms that follow from it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from freshet.contracts.errors import ContractError
from freshet.contracts.messages import Alarm
from freshet.detectors.input_detector import InputDetector
from freshet.detectors.input_watch import InputWatch, InputWatchState
from freshet.operate.facts import read
from freshet.operate.operate_error import OperateError
from freshet.pipeline.profile_section import ProfileSpec
from freshet.pipeline.watched_inputs import ROLES, WatchedInputs
from freshet.profiles.frame_records import PROFILES, PlacedFrame, frames_of
from freshet.runtime.bus.protocol import Bus, Place
from freshet.runtime.reading import everything

Change = Callable[[Sequence[InputDetector]], Sequence[InputDetector]]
"""Detectors as they are to be for a fold, given those of a specification."""


@dataclass(frozen=True, slots=True)
class RefoldedFrames:
    """What a fold of the log of profiles gave."""

    alarms: Sequence[Alarm]
    frames: int
    rows: int
    """Rows of features that these frames count."""
    first_offset: int
    """Where the log begins; above 0 its beginning has expired."""


def facts_of(bus: Bus, pipeline: str) -> WatchedInputs:
    """What the control topics tell beside the frames."""
    facts = WatchedInputs(pipeline)
    for fact in read(bus, *ROLES):
        facts.fold(fact)
    return facts


def first_offset(bus: Bus, role: str) -> int:
    """Where a log of one partition begins. Above 0 its beginning has expired: a record that is no longer there is not
    one that no reader ever saw, such as that of an aborted transaction or a stranger's.
    """
    span = bus.spans(role).get(0)
    return span.low if span is not None else 0


def frames(bus: Bus, pipeline: str, first: int = 0) -> Iterator[PlacedFrame]:
    """All frames from that offset on, in order; nothing where there is no such topic."""
    for batch in everything(bus, PROFILES, {Place(PROFILES, 0): first} if first else None):
        yield from frames_of(pipeline, batch).frames


def refolded(bus: Bus, pipeline: str, facts: WatchedInputs, changes: Sequence[Change]) -> list[RefoldedFrames]:
    """Fold the log, from where it begins, as `drift-compare` does: once with the detectors that each change gives.

    Raises OperateError if the log names what is not known, and ContractError where it is not whole.
    """
    watches = [InputWatch(pipeline, _settings(facts, change), facts.edges, facts.trained) for change in changes]
    states, alarms = [InputWatchState() for _ in changes], [list[Alarm]() for _ in changes]
    count, begins = 0, first_offset(bus, PROFILES)
    for placed in frames(bus, pipeline):
        count += 1
        if lacking := watches[0].lacks([placed]):
            raise OperateError(f"the {PROFILES} name {lacking}, which no topic tells.{facts.unreadable}", "failed")
        try:
            for at, watch in enumerate(watches):
                states[at], more = watch.fold(states[at], [placed])
                alarms[at] += more
        except ContractError as error:
            raise OperateError(str(error), "failed") from error
    return [
        RefoldedFrames(found, count, state.series["features"].row, begins)
        for found, state in zip(alarms, states, strict=True)
    ]


def _settings(facts: WatchedInputs, change: Change) -> Mapping[int, ProfileSpec]:
    return {
        number: spec.model_copy(update={"detectors": tuple(change(spec.detectors))})
        for number, spec in facts.profiles.items()
    }
