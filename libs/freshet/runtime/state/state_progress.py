"""How far the state of one partition has come, while it is restored and while it grows."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from freshet.contracts.state_messages import StateRecord
from freshet.runtime.state.frames import Frame
from freshet.runtime.state.state_mark import StateMark


@dataclass(slots=True)
class StateProgress:
    """How far a state has come: the next offset of each input, where it began, and which part is not kept yet."""

    at: dict[str, int]
    marks: dict[str, StateMark]
    frames: dict[str, Frame] = field(default_factory=dict)
    """For each input the range that its next slab will hold."""
    last_ms: dict[str, int] = field(default_factory=dict)
    """For each input when the newest row was appended; 0: not known."""
    unwritten: tuple[StateRecord, ...] = ()
    """Slabs that were lost, and were made anew from the inputs."""
    rows: int | None = None
    """Rows since the last checkpoint; None if there is none."""
    input_bytes: int = 0
    """Bytes of these rows."""
    kept_ms: int = 0
    """When the newest row of the last checkpoint was appended; 0: not known."""

    def has_seen(self, role: str, last_ms: int) -> None:
        """Rows of this input were taken in, the newest of this time."""
        self.last_ms[role] = max(self.last_ms[role], last_ms)

    def has_read(self, values: Sequence[bytes | None]) -> None:
        """Count these rows."""
        if self.rows is not None:
            self.rows += len(values)
            self.input_bytes += sum(len(value) for value in values if value)
