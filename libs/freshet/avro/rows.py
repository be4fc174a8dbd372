"""What a batch of values holds: columns of the rows that can be read, and why the other rows cannot."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self, TypeVar

import numpy as np

from freshet.avro.columns import Columns, concat, take
from freshet.avro.reasons import Refused
from freshet.contracts.arrays import Ints
from freshet.contracts.batch import Batch
from freshet.contracts.errors import ContractError, NewerRecordError
from freshet.contracts.logic import DeadLetter

T = TypeVar("T")


class RefusedRow(NamedTuple):
    """A row that cannot be used: its index, the reason's code, a sentence, and its schema id if it has one."""

    row: int
    reason: str
    detail: str
    schema_id: int | None = None

    @classmethod
    def of(cls, row: int, why: Refused, schema_id: int | None = None) -> Self:
        """The row, refused for this reason."""
        return cls(row, why.reason, why.detail, schema_id)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What a batch of values holds: `columns` of the rows `at`, ascending; every other row is in `refused`."""

    at: Ints
    columns: Columns
    refused: list[RefusedRow]
    schema_ids: Ints | None = None
    """The id that framed each row of `at`; None where values are not framed, or the caller knows it."""

    @classmethod
    def joined(cls, parts: Sequence[Self], refused: list[RefusedRow]) -> Self:
        """The rows `at` of several parts as one, in order; at least one part. `refused` are those of all parts."""
        if len(parts) == 1:
            return cls(parts[0].at, parts[0].columns, refused)
        at = np.concatenate([part.at for part in parts])
        order = np.argsort(at)
        columns = {name: take(concat([part.columns[name] for part in parts]), order) for name in parts[0].columns}
        return cls(at[order], columns, refused)


def own_records(
    role: str, pipeline: str, batch: Batch, read: Callable[[bytes | None], T]
) -> tuple[list[tuple[int, T]], list[RefusedRow]]:
    """The records of a batch of one of our own logs, each with its row, and the rows that `read` refuses.

    `read` raises ContractError at what a stranger wrote. Raises NewerRecordError, with the place in the log, at a
    record of a later release.
    """
    found, refused = list[tuple[int, T]](), list[RefusedRow]()
    for row, value in enumerate(batch.values):
        try:
            found.append((row, read(value)))
        except NewerRecordError as error:
            raise NewerRecordError(f"{role} of {pipeline!r}, offset {batch.offsets[row]}: {error}") from error
        except ContractError as error:
            refused.append(RefusedRow(row, "input_malformed", str(error)))
    return found, refused


def dead_letters(refused: Iterable[RefusedRow]) -> Iterator[DeadLetter]:
    """One effect for each reason and schema id, in a fixed order; rows ascend within each."""
    groups: dict[tuple[str, int], list[RefusedRow]] = {}
    for row in sorted(refused):
        groups.setdefault((row.reason, -1 if row.schema_id is None else row.schema_id), []).append(row)
    for (reason, _), rows in sorted(groups.items()):
        at = np.array([row.row for row in rows], np.int64)
        yield DeadLetter(at, reason, [row.detail for row in rows], rows[0].schema_id)
