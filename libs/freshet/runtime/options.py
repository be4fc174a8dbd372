"""How a loop reads and commits."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LoopOptions:
    """Settings of one loop."""

    batch_rows: int = 100_000
    """Most rows of a batch, whatever the pipeline's own limits allow."""
    batch_bytes: int = 8 * 1024 * 1024
    skip_expired: bool = False
    """On records lost to retention: False stops, True jumps ahead and leaves a dead letter that says so."""
