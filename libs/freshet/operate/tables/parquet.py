"""Parquet files as titles and rows of text: each value as a CSV file would write it. Needs the extra `tables`."""

import math
from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from freshet.contracts.errors import ContractError

_BATCH_ROWS: Final = 10_000


def parquet_titles(path: Path) -> list[str]:
    """The columns' names. Raises ContractError if the file cannot be read, or holds what is no cell of a table."""
    schema = _open(path).schema_arrow
    types = import_module("pyarrow").types
    for field in schema:
        if types.is_nested(field.type) or types.is_binary(field.type) or types.is_large_binary(field.type):
            raise ContractError(
                f"{path}: column {field.name!r} holds {field.type}, which is no cell of a table. Flatten or drop it."
            )
    return [str(name).strip() for name in schema.names]


def parquet_rows(path: Path) -> Iterator[list[str]]:
    """Every row, its missing values as empty cells; raises ContractError."""
    file = _open(path)
    try:
        for batch in file.iter_batches(_BATCH_ROWS):
            columns = [_cells(column) for column in batch.columns]
            yield from map(list, zip(*columns, strict=True))
    except (OSError, ValueError) as error:
        raise ContractError(f"{path} cannot be read as Parquet: {error}.") from error


def _open(path: Path) -> Any:
    try:
        parquet = import_module("pyarrow.parquet")
    except ModuleNotFoundError as error:
        raise ContractError(f"{path}: Parquet needs pyarrow: pip install 'freshet[tables]'.") from error
    try:
        return parquet.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise ContractError(f"{path} cannot be read as Parquet: {error}.") from error


def _cells(column: Any) -> list[str]:
    arrow = import_module("pyarrow")
    if arrow.types.is_timestamp(column.type) and column.type.unit == "ns":
        zone = column.type.tz
        column = column.cast(arrow.timestamp("us", tz=zone), safe=False)  # no clock of ours is finer
    return [_WRITERS.get(type(value), str)(value) for value in column.to_pylist()]


def _float(value: float) -> str:
    return "" if math.isnan(value) else repr(value)


_WRITERS: Final[dict[type, Callable[[Any], str]]] = {
    type(None): lambda _: "",
    bool: lambda value: "true" if value else "false",
    str: str.strip,
    float: _float,
    Decimal: lambda value: format(value, "f"),
    datetime: datetime.isoformat,
    date: date.isoformat,
}
