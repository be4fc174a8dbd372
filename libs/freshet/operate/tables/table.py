"""Tables as people have them (CSV of any dialect, JSON lines, Parquet) as titles and rows of clean text."""

import codecs
import csv
import gzip
import io
import itertools
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Final

from freshet.avro.own_schemas import Schema
from freshet.contracts.errors import ContractError
from freshet.operate.operate_error import OperateError
from freshet.operate.tables.numerals import Marks, Signs, decide, with_point
from freshet.operate.tables.parquet import parquet_rows, parquet_titles

_DELIMITERS: Final = ",;\t|"
_TOLD: Final = {"delimiter": "columns are separated by {!r}", "encoding": "encoding {}"}
TABLE_DIALECT: Final = "table_dialect"
"""The attribute of event.avsc's record that says how tables are written, so that all are read alike."""

_SIGNS: Final = (".", ",")
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF32: Final = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)  # the first begins as UTF-16's does


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a table is written; what is None is found by looking."""

    delimiter: str | None = None
    encoding: str | None = None
    decimal: str | None = None
    """The sign before decimals, in columns whose numbers do not show it."""
    decimals: Mapping[str, str] = field(default_factory=dict)
    """The same of single columns, by title, where they differ."""
    na: Sequence[str] = ()
    """Texts of cells that have no value, beside those that say so everywhere."""

    @classmethod
    def of(cls, schema: Schema) -> "Dialect":
        """How the pipeline's tables are written, as event.avsc says; raises ContractError."""
        said = schema.get(TABLE_DIALECT, {})
        try:
            found = cls(**said)
            known = {found.decimal, *found.decimals.values()} <= {None, *_SIGNS} and not isinstance(found.na, str)
            known = known and all(isinstance(text, str) for text in found.na)
        except (TypeError, AttributeError):
            known = False
        if not known:
            raise ContractError(
                f"{TABLE_DIALECT} in event.avsc is {said!r}: it may hold delimiter, encoding and decimal (. or ,), "
                "decimals, the same by column, and na, a list of texts that mean no value."
            )
        return found


@dataclass(frozen=True, slots=True)
class Line:
    """One row: the line on which it ends, and its cells without spaces around them."""

    number: int
    cells: Sequence[str]
    """Numbers have a decimal point, and nothing between thousands."""
    written: Sequence[str]
    """The same cells as they stand in the file."""


class Table:
    """A file of rows under titles, as often as it is iterated. Empty lines are no rows.

    A row of another length than the titles' is passed on as it is: whoever reads it says what is wrong.
    """

    def __init__(self, path: Path, dialect: Dialect | None = None, usual: Dialect | None = None) -> None:
        """Looks at the file's beginning. `usual` is how tables of the pipeline are written, where a look cannot tell.

        Raises ContractError if the file cannot be read, or has a title twice.
        """
        given, usual = dialect or Dialect(), usual or Dialect()
        self.path = path
        self._given, self._usual = given, usual
        self._na = frozenset(text.strip() for text in (*given.na, *usual.na))
        self.numbers: Collection[str] | None = None
        """Titles of the columns that hold numbers, to be said before rows are read; None: those with nothing else."""
        if given.decimal not in (None, *_SIGNS) or len(given.delimiter or ",") != 1:
            raise ContractError("--decimal is . or , and --delimiter is one sign, such as ';'.")
        if not path.exists():
            raise OperateError(f"there is no file {path}.", "usage")
        if path.is_dir():
            raise OperateError(f"{path} is a folder, not a table.", "usage")
        if path.suffix in (".feather", ".arrow", ".xlsx", ".xls"):
            raise ContractError(f"{path}: {path.suffix} files are not read. Save it as CSV, JSON lines or Parquet.")
        self._parquet = path.suffix in (".parquet", ".pq")
        self._json = path.name.removesuffix(".gz").endswith((".jsonl", ".ndjson"))
        self._typed = self._json or self._parquet
        self._encoding = given.encoding or ("utf-8" if self._parquet else self._sniffed_encoding(usual.encoding))
        self.delimiter = "," if self._typed else given.delimiter or self._sniffed_delimiter(usual.delimiter)
        self.titles = self._titles()
        twice = next((title for title, times in Counter(self.titles).items() if title and times > 1), None)
        if twice is not None:
            raise ContractError(f"two columns of {path} have the same title, {twice!r}; rename one.")
        if not self.titles:
            raise ContractError(f"{path} is empty: its first line must name the columns.")

    @property
    def where_titles_stand(self) -> str:
        """Where people change a column's title."""
        if self._parquet:
            return "in the program that writes the Parquet file"
        return "in every line's object" if self._json else "in the file's first line"

    @cached_property
    def signs(self) -> Signs:
        """The decimal signs of its columns, from a look at every row.

        Raises ContractError where numbers such as 1.234 may be read in two ways, or contradict each other or the usual.
        """
        if self._typed:
            return Signs()
        found = {title: Marks() for title in self.titles if self.numbers is None or title in self.numbers}
        columns = [(at, found[title]) for at, title in enumerate(self.titles) if title in found]
        for _, cells in self._rows():
            for at, marks in columns:
                if at < len(cells) and cells[at] not in self._na:
                    marks.see(cells[at])
        if self.numbers is None:
            found = {title: marks for title, marks in found.items() if not marks.text}
        usual = self._usual
        try:
            return decide(
                found,
                self._given.decimal,
                lambda title: usual.decimals.get(title, usual.decimal),
                "." if self.delimiter == "," else None,
            )
        except ContractError as error:
            raise ContractError(f"{self.path}: {error}") from error

    @property
    def unusual(self) -> dict[str, Any]:
        """How it is written where that is not UTF-8, commas and decimal points; a dialect's values by name."""
        found: dict[str, Any] = {} if self.delimiter == "," else {"delimiter": self.delimiter}
        if self._encoding not in ("utf-8-sig", "utf-8"):
            found["encoding"] = self._encoding
        signs = self.signs.by_title
        common = self._given.decimal or (next(iter(signs.values())) if len(set(signs.values())) == 1 else None)
        if common and not (common == "." and self.delimiter == ","):  # there a point is taken for granted
            found["decimal"] = common
        if odd := {title: sign for title, sign in signs.items() if sign != common}:
            found["decimals"] = odd
        if self._na:
            found["na"] = sorted(self._na)
        return found

    @property
    def told(self) -> list[str]:
        """The same in words, for people to confirm."""
        return [_TOLD[name].format(value) for name, value in self.unusual.items() if name in _TOLD] + [*self.signs.told]

    def __iter__(self) -> Iterator[Line]:
        signs = self.signs.by_title
        marked = [(at, signs[title]) for at, title in enumerate(self.titles) if title in signs]
        for number, written in self._rows():
            cells = ["" if cell in self._na else cell for cell in written] if self._na else list(written)
            for at, sign in marked:
                if at < len(cells) and ("," in cells[at] or "." in cells[at]):
                    cells[at] = with_point(cells[at], sign)
            yield Line(number, cells, written)

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """All rows but empty ones, as they are written."""
        rows = itertools.islice(self._raw(), 0 if self._typed else 1, None)
        return ((number, cells) for number, cells in rows if any(cells))

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
            lines = csv.reader(text, delimiter=self.delimiter, skipinitialspace=True)
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
            if "\\ud" in line.lower():  # half of a surrogate pair is JSON, and no text that could be written
                json.dumps(found, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
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
                if start in _UTF32:
                    return "utf-32"
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
            return _likely_delimiter(start)  # within: what is no CSV is told with the file's name


def dialect_attribute(table: Table) -> dict[str, Any]:
    """What event.avsc says of how this table is written; nothing if that is nothing special."""
    return {TABLE_DIALECT: table.unusual} if table.unusual else {}


def _likely_delimiter(start: str) -> str:
    """Of a table's beginning. Raises csv.Error."""

    def fit(delimiter: str) -> tuple[float, int]:
        rows = [row for row in csv.reader(io.StringIO(start), delimiter=delimiter, skipinitialspace=True) if row]
        width = len(rows[0]) if rows else 0
        alike = sum(len(row) == width for row in rows) / max(1, len(rows))
        return (alike if width > 1 else 0.0, width)

    best = max(_DELIMITERS, key=fit)
    return best if fit(best)[0] > 0 else ","


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
