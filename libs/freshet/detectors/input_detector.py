"""The base class of detectors that watch frames: what comes in and what is answered, before any label tells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from freshet.contracts.profile_messages import FrameKind
from freshet.detectors.alarming_part import AlarmingPart
from freshet.detectors.detector import Finding
from freshet.profiles.bin_edges import BinEdges
from freshet.profiles.frame_content import FrameContent
from freshet.profiles.frame_records import PlacedFrame

Cause = Literal["world", "own_rollout", "data_quality", "unknown"]


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Consecutive frames of one kind, of all partitions, added up. Rows are numbers among the rows of this kind."""

    content: FrameContent
    from_row: int
    end_row: int
    offset: int
    """Of its last frame, in the log of profiles."""
    last_ms: int
    """When its newest row was appended."""
    since: Mapping[int, int]
    """By partition, the first offset of its rows."""
    phases: tuple[int, ...]
    """Its hours of the day, those of the weekend by themselves, ascending."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A window that is over, and what it is to be compared with."""

    kind: FrameKind
    window: Window
    learned: Sequence[Window]
    """The windows of the reference."""
    reference: FrameContent
    """All of them together."""
    state_from: int
    """The row at which the reference begins."""
    usual: FrameContent | None
    """What earlier rows of the same hours looked like; None as long as too few are known."""
    edges: BinEdges


@dataclass(frozen=True, slots=True)
class InputFinding:
    """A finding about frames, with all that an alarm says of it."""

    finding: Finding
    attribution: Mapping[str, float]
    """Shares of what has changed, by column."""
    cause: Cause
    since: Mapping[int, int] = field(default_factory=dict)
    epochs: tuple[int, ...] = ()
    begins_anew: bool = False
    """Whether what comes now is to be learned as the new reference."""


class InputDetector(AlarmingPart):
    """One entry of `profile.detectors`. Pure: a state is a value that may be written as JSON, and never changed.

    It sees each frame, in the order of the log, and each window of its `reads` that is over.
    """

    reads: ClassVar[FrameKind] = "features"

    def begin(self) -> Any:
        """The state before the first frame."""
        return {}

    def frame(self, state: Any, placed: PlacedFrame, row: int) -> tuple[Any, Sequence[InputFinding]]:  # noqa: ARG002
        """The state after this frame, of either kind; so many rows of its kind came before."""
        return state, ()

    def window(self, state: Any, look: Look) -> tuple[Any, Sequence[InputFinding]]:  # noqa: ARG002
        """The state after this window."""
        return state, ()
