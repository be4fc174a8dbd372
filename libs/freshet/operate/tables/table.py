"""Tables as people have them (CSV of any dialect, JSON lines, Parquet) as titles and rows of clean text."""

import codecs
import csv
import gzip
import io
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from freshet.avro.schemas import Schema
from freshet.contracts.errors import ContractError
from freshet.operate.operate_error import OperateError
from freshet.operate.tables.cells import with_point
from freshet.operate.tables.parquet import parquet_rows, parquet_titles

_DELIMITERS: Final = ",;\t|"
_SNIFFED_ROWS: Final = 1000
_DECIMAL_COMMA: Final = re.compile(r"[+-]?[\d.]*\d,\d+")
_DECIMAL_POINT: Final = re.compile(r"[+-]?[\d,]*\d\.\d+")
_THOUSANDS: Final = re.compile(r"[+-]?\d{1,3}(,\d{3})+")
_TOLD: Final = {
    "delimiter": "columns are separated by {!r}",
    "encoding": "encoding {}",
    "decimal": "decimals have a comma",
}
TABLE_DIALECT: Final = "table_dialect"
"""The attribute of event.avsc's record that says how tables are written, so that all are read alike."""

_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a table is written; what is None is found by looking."""

    delimiter: str | None = None
    encoding: str | None = None
    decimal: str | None = None

    @classmethod
    def of(cls, schema: Schema) -> "Dialect":
        """How the pipeline's tables are written, as event.avsc says; raises ContractError."""
        said = schema.get(TABLE_DIALECT, {})
        try:
            return cls(**{str(name): str(value) for name, value in said.items()})
        except (TypeError, AttributeError) as error:
            raise ContractError(
                f"{TABLE_DIALECT} in event.avsc is {said!r}: it may hold delimiter, encoding and decimal."
            ) from error


@dataclass(frozen=True, slots=True)
class Line:
    """One row: the line on which it ends, and its cells; spaces around them are gone, decimals have a point."""

    number: int
    cells: Sequence[str]


class Table:
    """A file of rows under titles, as often as it is iterated. Empty lines are no rows.

    A row of another length than the titles' is passed on as it is: whoever reads it says what is wrong.
    """

    def __init__(self, path: Path, dialect: Dialect | None = None, usual: Dialect | None = None) -> None:
        """Looks at the file's beginning. `usual` is how tables of the pipeline are written, where a look cannot tell.

        Raises ContractError if it cannot be read, has a title twice, or contradicts the usual decimal sign.
        """
        given, usual = dialect or Dialect(), usual or Dialect()
        self.path = path
        if given.decimal not in (None, ".", ",") or len(given.delimiter or ",") != 1:
            raise ContractError("--decimal is . or , and --delimiter is one sign, such as ';'.")
        if not path.exists():
            raise OperateError(f"there is no file {path}.", "usage")
        if path.is_dir():
            raise OperateError(f"{path} is a folder, not a table.", "usage")
        if path.suffix in (".feather", ".arrow", ".xlsx", ".xls"):
            raise ContractError(f"{path}: {path.suffix} files are not read. Save it as CSV, JSON lines or Parquet.")
        self._parquet = path.suffix in (".parquet", ".pq")
        self._json = path.name.removesuffix(".gz").endswith((".jsonl", ".ndjson"))
        typed = self._json or self._parquet
        self._encoding = given.encoding or ("utf-8" if self._parquet else self._sniffed_encoding(usual.encoding))
        self._delimiter = "," if typed else given.delimiter or self._sniffed_delimiter(usual.delimiter)
        self.titles = self._titles()
        twice = [title for title in self.titles if title and self.titles.count(title) > 1]
        if twice:
            raise ContractError(f"two columns of {path} have the same title, {twice[0]!r}; rename one.")
        if not self.titles:
            raise ContractError(f"{path} is empty: its first line must name the columns.")
        self._decimal = "."  # so are cells read while it is found
        self._decimal = given.decimal or ("." if typed else self._sniffed_decimal(usual.decimal))

    @property
    def unusual(self) -> dict[str, str]:
        """How it is written where that is not UTF-8, commas and decimal points; a dialect's values by name."""
        found = {"delimiter": self._delimiter, "encoding": self._encoding, "decimal": self._decimal}
        plain = ((",",), ("utf-8-sig", "utf-8"), (".",))
        return {name: is_so for (name, is_so), usual in zip(found.items(), plain, strict=True) if is_so not in usual}

    @property
    def told(self) -> list[str]:
        """The same in words, for people to confirm."""
        return [_TOLD[name].format(value) for name, value in self.unusual.items()]

    def __iter__(self) -> Iterator[Line]:
        for number, cells in itertools.islice(self._raw(), 0 if self._json or self._parquet else 1, None):
            if not any(cells):
                continue
            yield Line(number, list(map(with_point, cells)) if self._decimal == "," else cells)

    def _raw(self) -> Iterator[tuple[int, list[str]]]:
        """All lines, the titles' first (none in JSON and Parquet, whose rows are counted from 1)."""
        if self._parquet:
            yield from enumerate(parquet_rows(self.path), 1)
            return
        with self._text() as text:
            if self._json:
                for number, line in enumerate(text, 1):
                    if line.strip():
                        found = self._object(number, line)
                        yield number, [_written(found.get(title)) for title in self.titles]
                return
            lines = csv.reader(text, delimiter=self._delimiter, skipinitialspace=True)
            for cells in lines:
                yield lines.line_num, [cell.strip() for cell in cells]

    def _titles(self) -> list[str]:
        if self._parquet:
            return parquet_titles(self.path)
        if not self._json:
            return next((cells for _, cells in self._raw()), [])
        with self._text() as text:
            lines = enumerate(text, 1)
            return list(dict.fromkeys(key for at, line in lines if line.strip() for key in self._object(at, line)))

    def _object(self, number: int, line: str) -> dict[str, Any]:
        try:
            found = json.loads(line)
        except ValueError as error:
            raise ContractError(f"{self.path}:{number}: this line is not JSON: {error}.") from error
        if not isinstance(found, dict):
            raise ContractError(f"{self.path}:{number}: a line must hold an object of columns, not {line.strip():.40}.")
        return dict(_flat(found))

    @contextmanager
    def _text(self) -> Iterator[IO[str]]:
        """The file's text; its errors name the file."""
        try:
            with self._bytes() as binary, io.TextIOWrapper(binary, self._encoding, newline="") as text:
                yield text
        except (OSError, EOFError, UnicodeError, LookupError, csv.Error) as error:
            raise ContractError(f"{self.path} cannot be read as CSV: {error}.") from error

    def _bytes(self) -> IO[bytes]:
        return gzip.open(self.path, "rb") if self.path.suffix == ".gz" else self.path.open("rb")  # type: ignore[return-value]

    def _sniffed_encoding(self, usual: str | None) -> str:
        """UTF-8 if all of it is, UTF-16 by its mark, else the usual, by default what Windows writes in the west."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            with self._bytes() as binary:
                start = binary.read(4)
                if start[:2] in _UTF16:
                    return "utf-16"
                decoder.decode(start)
                while chunk := binary.read(1 << 20):
                    decoder.decode(chunk)
                decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return usual or "cp1252"
        except (OSError, EOFError) as error:
            raise ContractError(f"{self.path} cannot be read as CSV: {error}.") from error
        return "utf-8-sig"

    def _sniffed_delimiter(self, usual: str | None) -> str:
        """The usual if it is among the titles; else the sign that gives most rows as many cells as titles, and many."""
        with self._text() as text:
            start = "".join(itertools.islice(text, 50))
        if usual and usual in start.partition("\n")[0]:
            return usual

        def fit(delimiter: str) -> tuple[float, int]:
            rows = [row for row in csv.reader(io.StringIO(start), delimiter=delimiter, skipinitialspace=True) if row]
            width = len(rows[0]) if rows else 0
            alike = sum(len(row) == width for row in rows) / max(1, len(rows))
            return (alike if width > 1 else 0.0, width)

        best = max(_DELIMITERS, key=fit)
        return best if fit(best)[0] > 0 else ","

    def _sniffed_decimal(self, usual: str | None) -> str:
        """A comma, if more cells look like 1,5 than like 1.5; 1.200 alone is what it usually is."""
        some = [cell for line in itertools.islice(self, _SNIFFED_ROWS) for cell in line.cells]
        if self._delimiter == "," and all(map(_THOUSANDS.fullmatch, filter(_DECIMAL_COMMA.fullmatch, some))):
            return "."  # "1,234" in an English table is a thousand and more: left as the text that it is
        commas = sum(1 for cell in some if _DECIMAL_COMMA.fullmatch(cell))
        points = [cell for cell in some if _DECIMAL_POINT.fullmatch(cell)]
        if usual == ",":
            odd = next((cell for cell in points if with_point(cell) == cell), "")
            if odd and not commas:
                raise ContractError(
                    f"{self.path} has numbers such as {odd!r}, but the pipeline's tables have decimal commas "
                    f"({TABLE_DIALECT} in event.avsc). Nothing was read: if these have a point, give --decimal ."
                )
            return ","
        return "," if commas > len(points) else "."


def dialect_attribute(table: Table) -> dict[str, Any]:
    """What event.avsc says of how this table is written; nothing if that is nothing special."""
    return {TABLE_DIALECT: table.unusual} if table.unusual else {}


def _flat(found: dict[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    """Objects in objects as columns: {"geo": {"lat": 1}} has a column geo.lat."""
    for key, value in found.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{within}{key}.")
        else:
            yield f"{within}{key}", value


def _written(value: Any) -> str:
    """A JSON value as the same cell of a CSV file."""
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
