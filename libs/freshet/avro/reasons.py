"""Why a record is refused: all codes there are, each with a sentence for a person."""

from dataclasses import dataclass
from enum import StrEnum


class DecodeReason(StrEnum):
    """What can be wrong with bytes that should be a record of their schema."""

    EMPTY = "empty"
    """No value at all, or a value of zero bytes."""
    TOO_LARGE = "too_large"
    """More bytes than the decoder's cap; not looked at."""
    TRUNCATED = "truncated"
    """The bytes end before the record does."""
    TRAILING = "trailing"
    """Bytes are left after the record's last field."""
    BAD_VARINT = "bad_varint"
    """An integer over 10 bytes, over 64 bits (32 for int), or not in its shortest form."""
    BAD_UTF8 = "bad_utf8"
    """Text that is not UTF-8."""
    BAD_INDEX = "bad_index"
    """A union branch or enum symbol that the schema does not have."""
    BAD_LENGTH = "bad_length"
    """A negative length, or an array or map block whose stated size is not its real one."""
    BAD_BOOLEAN = "bad_boolean"
    """A boolean byte other than 0 and 1."""
    UNDECODABLE = "undecodable"
    """Well formed for its writer, but the reader's schema cannot take it."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """One refused record: its index in the input, the code, and a sentence saying where and why."""

    row: int
    reason: DecodeReason
    detail: str


class Refused(Exception):  # noqa: N818 (a verdict, not an error of ours)
    """The referee's verdict on one record; `path` grows outwards as it leaves nested fields."""

    def __init__(self, reason: DecodeReason, why: str) -> None:
        super().__init__(why)
        self.reason = reason
        self.why = why
        self.path: list[str] = []

    @property
    def detail(self) -> str:
        """The sentence, with the field it is about."""
        where = "".join(reversed(self.path)).removeprefix(".")
        return f"{where}: {self.why}" if where else self.why
