"""Partitions that an output topic lacks: what is read there could not be answered, so it is not read."""

from collections.abc import Mapping, Sequence

from freshet.runtime import dead_letters
from freshet.runtime.bus.protocol import Bus, Place
from freshet.runtime.recovery import Trace


class Counterparts:
    """A pipeline's topics have equally many partitions, unless somebody has grown one of them by hand."""

    def __init__(self, bus: Bus, traces: Sequence[Trace]) -> None:
        self._bus, self._traces = bus, traces
        self._counts: Mapping[str, int] = {}

    def lack(self, place: Place) -> str | None:
        """Why this partition cannot be answered; None if it can. Asks the broker where it could not as of last time."""
        if self._why(place) is not None:
            roles = {dead_letters.ROLE, *(trace.output for trace in self._traces)}
            self._counts = {role: len(self._bus.spans(role)) for role in sorted(roles)}
        return self._why(place)

    def _why(self, place: Place) -> str | None:
        outputs = [trace.output for trace in self._traces if trace.input == place.role]
        for output in [*outputs, dead_letters.ROLE]:
            count = self._counts.get(output, 0)
            if place.partition >= count:
                return (
                    f"{place.role}/{place.partition} waits: {output} has only {count} partitions, so its answers would "
                    f"have no place. Give {output} as many as {place.role} has (`freshet doctor` compares them), or "
                    "publish the pipeline under a new name."
                )
        return None
