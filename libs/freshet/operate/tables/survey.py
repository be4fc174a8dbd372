"""What a look at every row of a table has found, before the first event is sent."""

from dataclasses import dataclass, field
from typing import Final

NAMED: Final = 5
"""How many of the rows that cannot be sent are named."""


@dataclass(slots=True)
class Survey:
    """What a look at every row of a table has found, before anything is made of it."""

    rows: int = 0
    """Rows that give an event."""
    left_out: int = 0
    """Rows that give none."""
    unlabelled: int = 0
    """Events whose label is blank, or one that nobody knows."""
    named: list[str] = field(default_factory=list)
    """The first of what is wrong, as `file:line: why`."""
    rounded: dict[str, int] = field(default_factory=dict)
    """Whole-number fields with the count of values that a float32 cannot hold exactly."""

    @property
    def told(self) -> list[str]:
        """Sentences about what will be left out, none if all is well."""
        said = list(self.named)
        if self.left_out:
            said.append(f"{self.left_out:,} of {self.rows + self.left_out:,} rows cannot be read as events: left out.")
        if self.unlabelled:
            said.append(f"{self.unlabelled:,} of {self.rows:,} events have no label: they go without feedback.")
        said += [
            f"{count:,} values of {name!r} are whole numbers above 16,777,216: as a feature (float32) they are rounded."
            for name, count in self.rounded.items()
        ]
        return said
