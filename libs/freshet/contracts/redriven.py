"""Headers of an event that was set aside and published once more."""

from typing import Final

from freshet.contracts.batch import Headers

REDRIVE_OF: Final = "redrive_of"
"""topic/partition/offset of the event that was set aside."""
ARRIVED_MS: Final = "redrive_arrived_ms"
"""When that event had arrived, by the broker: its copy is as old as it was, however late it is redriven."""


def arrived_ms(headers: Headers | None) -> int | None:
    """When the event that this one repeats had arrived; None if it repeats none, or does not say."""
    for name, value in headers or ():
        if name == ARRIVED_MS and value is not None and value.isdigit():
            return int(value)
    return None
