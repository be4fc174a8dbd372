"""Which rows of a batch still pass, and why the others do not: the first check that fails decides."""

from collections.abc import Callable

import numpy as np

from freshet.avro import Columns
from freshet.avro.rows import RefusedRow, Rows
from freshet.contracts.arrays import Bools, Ints

SHOWN_CHARACTERS = 60
"""How much of a value a sentence shows; the whole is in the dead letter."""


class Validator:
    """The decoded rows of a batch on their way through the checks."""

    def __init__(self, rows: Rows) -> None:
        self.columns: Columns = rows.columns
        self._at = rows.at
        self._schema_ids = rows.schema_ids
        self._passing: Bools = np.ones(rows.at.size, np.bool_)
        self.refused = list(rows.refused)

    def refuse(self, failing: Bools, reason: str, detail: Callable[[int], str]) -> None:
        """Set aside the failing rows that passed so far; `detail` gives the sentence for an index into the columns."""
        failing = failing & self._passing
        if not failing.any():
            return
        self._passing &= ~failing
        for index in np.flatnonzero(failing).tolist():
            schema_id = None if self._schema_ids is None else int(self._schema_ids[index])
            self.refused.append(RefusedRow(int(self._at[index]), reason, detail(index), schema_id))

    def passed(self) -> Ints:
        """Indexes into the columns of the rows that passed everything, ascending."""
        return np.flatnonzero(self._passing)


def shown(value: object) -> str:
    """A value for a sentence, shortened."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
