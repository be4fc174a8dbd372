"""How much memory the label join of a pipeline takes: open predictions stay in it until no label can come any more."""

from typing import Final

from freshet.pipeline.spec import PipelineSpec

ROW_BYTES: Final = 105
"""What a prediction takes beside its scores, with its place in the index."""
SCORE_BYTES: Final = 4
GROWTH: Final = 1.55
"""Rows and index lie in tables that double: measured: up to 174 bytes where 113 are held (docs/performance.md)."""
MOST_BYTES: Final = 64 << 30
"""No service is given more, over all its workers."""


def join_memory_bytes(spec: PipelineSpec, events_per_s: float) -> int:
    """Of all workers of `drift-join` together, at that rate."""
    label = spec.label
    seconds = (label.horizon.ms + label.grace.ms + label.wait.ms) / 1000
    held_bytes = ROW_BYTES + SCORE_BYTES * max(1, len(spec.target.classes))
    return int(events_per_s * seconds * held_bytes * GROWTH)


def join_memory_problem(spec: PipelineSpec, events_per_s: float) -> str:
    """Why labels cannot be joined at that rate; empty when they can."""
    needed = join_memory_bytes(spec, events_per_s)
    if needed <= MOST_BYTES:
        return ""
    return (
        f"at {events_per_s:g} events/s the label join would hold {needed >> 30} GiB of open predictions, and "
        f"{MOST_BYTES >> 30} is the most: shorten label.horizon, label.grace or label.wait."
    )
