"""Partitions without a counterpart in an output topic: rows there could not be answered, so they are not read."""

from collections.abc import Sequence

from freshet.runtime import dead_letter_records
from freshet.runtime.bus.protocol import Bus, Place
from freshet.runtime.recovery import Clue, InputReference


class Counterparts:
    """A pipeline's topics have equally many partitions, unless somebody has grown one of them, or made one anew.

    A topic that is gone counts with the partitions it had: `needed` waits for it as a whole.
    """

    def __init__(self, bus: Bus, clues: Sequence[Clue], together: Sequence[Sequence[str]] = ()) -> None:
        """`together` are inputs of which no partition is read without those of the same number (`Logic.together`)."""
        self._bus, self._together = bus, together
        self._references = references = [clue for clue in clues if isinstance(clue, InputReference)]
        outputs = {reference.output for reference in references}
        self._roles = sorted({dead_letter_records.ROLE, *outputs, *(role for roles in together for role in roles)})
        self._counts: dict[str, int] = {}
        self._doubtful = True

    def look(self) -> None:
        """Ask the broker how many partitions there are now. Raises RetriableError."""
        counts = self._bus.partition_counts(self._roles)
        self._counts |= {role: count for role, count in counts.items() if count}
        self._doubtful = False

    def doubt(self) -> None:
        """Something went wrong that a lost partition might explain: `lack` asks the broker anew before it answers."""
        self._doubtful = True

    def lack(self, place: Place) -> str | None:
        """Why this partition cannot be answered; None if it can. Asks the broker again if it could not last time."""
        if self._doubtful or self._why(place) is not None:
            self.look()
        return self._why(place)

    def _why(self, place: Place) -> str | None:
        outputs = [reference.output for reference in self._references if reference.input == place.role]
        needed = dict.fromkeys([*outputs, dead_letter_records.ROLE], "its answers would have no place")
        partners = {role for roles in self._together if place.role in roles for role in roles} - {place.role}
        needed |= dict.fromkeys(sorted(partners), "it lacks what it is read together with")
        for role, so in needed.items():
            count = self._counts.get(role, 0)
            if place.partition >= count:
                return (
                    f"{place.role}/{place.partition} waits: {role} has only {count} partitions, so {so}. Give {role} "
                    f"as many as {place.role} has (`freshet doctor` compares them), or publish the pipeline under a "
                    "new name."
                )
        return None
