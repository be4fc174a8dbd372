"""The life of one partition in a worker's hands, as one table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from freshet.contracts.messages import PartitionState
from freshet.runtime.bus.protocol import Place

State = Literal["arrived", "restoring", "flowing", "waiting", "left"]
Event = Literal["found", "flows", "waits", "rewound", "revoked"]

MOVES: Final[Mapping[tuple[State, Event], State]] = {
    ("arrived", "found"): "restoring",
    ("arrived", "revoked"): "left",
    ("restoring", "flows"): "flowing",
    ("restoring", "waits"): "waiting",
    ("restoring", "rewound"): "arrived",
    ("restoring", "revoked"): "left",
    ("flowing", "waits"): "waiting",
    ("flowing", "rewound"): "arrived",
    ("flowing", "revoked"): "left",
    ("waiting", "flows"): "flowing",
    ("waiting", "waits"): "waiting",
    ("waiting", "rewound"): "arrived",
    ("waiting", "revoked"): "left",
}
"""The next state of a partition by state and event; a pair that is not listed cannot happen.

`found`: the offset to go on at is known. `flows`, `waits`: what the logic says of it. `rewound`: what was read of it
does not count. Only a flowing partition is read; in every other state the client does not fetch it.
"""


@dataclass(slots=True)
class Partition:
    """All that is kept of one partition. `next` and `metadata` are those of its committed offset, once it is found."""

    state: State = "arrived"
    why: str = ""
    """Why it is not read, if only the logic or an operator can change that; else empty."""
    next: int = 0
    metadata: str = ""

    def on(self, event: Event) -> None:
        """Go to the next state. KeyError where that cannot happen."""
        self.state = MOVES[self.state, event]

    def told(self, place: Place) -> PartitionState:
        """What is said of it to others."""
        return PartitionState(
            partition=place.partition,
            epoch=0,
            fallback=0,
            held=self.why,
            role=place.role,
            next_offset=-1 if self.state == "arrived" else self.next,
        )
