"""Dead letters as rows of a table: what was set aside, why, by whom, and the bytes as they came."""

from typing import Any, Final

import numpy as np
import pyarrow as pa

from freshet.contracts.batch import Batch, read_headers
from freshet.operate.export.arrow_columns import PLACE, Fields, place_arrays
from freshet.operate.redrive import DeadRecord, dead_record
from freshet.runtime import dead_letter_records

_COLUMNS: Final[Fields] = [
    ("reason", pa.string()),
    ("detail", pa.string()),
    ("service", pa.string()),
    ("model_version", pa.string()),
    ("source_role", pa.string()),
    ("source_partition", pa.int32()),
    ("source_offset", pa.int64()),
    ("source_topic", pa.string()),
    ("whole", pa.bool_()),
    ("key", pa.binary()),
    ("value", pa.binary()),
]


class LetterTable:
    """See `TopicTable`. Receipts of events that were sent again are no letters, and count as records left out."""

    schema: Any = pa.schema([*_COLUMNS, *PLACE])

    def rows(self, batch: Batch) -> tuple[Any, int]:
        """See `TopicTable`."""
        at = [
            row
            for row, record in enumerate(batch.records)
            if dead_letter_records.receipt_of(read_headers(record)) is None
        ]
        told = [_row(dead_record(batch.records[row])) for row in at]
        columns = zip(*told, strict=True) if told else ([] for _ in _COLUMNS)
        arrays = [pa.array(list(column), kind) for column, (_, kind) in zip(columns, _COLUMNS, strict=True)]
        places = place_arrays(batch, np.array(at, np.int64))
        return pa.RecordBatch.from_arrays([*arrays, *places], schema=self.schema), len(batch) - len(at)


def _row(letter: DeadRecord) -> tuple[Any, ...]:
    """One letter's values, null where its headers do not say."""
    origin = dead_letter_records.origin(letter.raw_headers)
    _, partition, offset = origin or ("", None, None)
    texts = (letter.reason, letter.detail, letter.headers.get("freshet.service"), letter.model_version, letter.role)
    source_topic = dead_letter_records.topic_id_of(letter.raw_headers)
    return (
        *(text or None for text in texts),
        partition,
        offset,
        source_topic or None,
        letter.whole,
        letter.key,
        letter.value,
    )
