"""Writes rows to a Parquet file that appears when it is whole; the same rows make the same file."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pyarrow as pa
from pyarrow import parquet

GROUP_ROWS: Final = 65_536
"""Rows of a row group: cut by the rows alone, so that the file does not depend on how Kafka handed them out."""
_MOST_BYTES: Final = 64 << 20
"""A group is cut earlier where rows are so large, as only dead letters can be: memory stays bounded."""


class ParquetWriter:
    """A context manager; leaving it by an error removes what was written. Raises OSError."""

    def __init__(self, path: Path, schema: Any) -> None:
        self._path, self._unfinished = path, path.with_name(f".{path.name}.{os.getpid()}.part")
        self._waiting: list[Any] = []
        self._waiting_rows = self._waiting_bytes = 0
        self._schema = schema
        self._out = parquet.ParquetWriter(self._unfinished, schema, compression="zstd", version="2.6")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._out.close()
            self._unfinished.unlink(missing_ok=True)

    def add(self, rows: Any) -> None:
        """Write the next rows, a pyarrow.RecordBatch, as soon as they fill a row group."""
        self._waiting.append(rows)
        self._waiting_rows += rows.num_rows
        self._waiting_bytes += rows.nbytes
        while self._waiting_rows >= GROUP_ROWS or self._waiting_bytes > _MOST_BYTES:
            self._write(GROUP_ROWS)

    def finish(self, metadata: Mapping[str, str]) -> None:
        """Write what is left and the file's metadata, and put the file where it belongs."""
        if self._waiting_rows:
            self._write(GROUP_ROWS)
        self._out.add_key_value_metadata(dict(metadata))
        self._out.close()
        with self._unfinished.open("rb") as written:
            os.fsync(written.fileno())
        self._unfinished.replace(self._path)

    def _write(self, most: int) -> None:
        table = pa.Table.from_batches(self._waiting, self._schema)
        self._out.write_table(table.slice(0, most).combine_chunks(), row_group_size=most)
        rest = table.slice(most)
        self._waiting = rest.to_batches() if rest.num_rows else []
        self._waiting_rows, self._waiting_bytes = rest.num_rows, rest.nbytes if rest.num_rows else 0
