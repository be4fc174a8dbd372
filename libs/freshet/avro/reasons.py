"""Why a record is refused: all codes there are, each with a sentence for a person."""

from enum import StrEnum


class DecodeReason(StrEnum):
    """What can be wrong with bytes that should be a record of their schema; the values are the dead letters' codes."""

    EMPTY = "input_empty"
    """No value at all, or a value of zero bytes."""
    TOO_LARGE = "input_too_large"
    """More bytes than the decoder's cap; not looked at."""
    FRAMING = "input_framing"
    """No byte 00 with a schema id, or such a frame where there should be none."""
    UNKNOWN_SCHEMA = "input_schema_unknown"
    """Framed with an id that nobody has published, or not yet."""
    UNFIT_SCHEMA = "input_schema_unfit"
    """Framed with an id of the user's registry whose schema the pipeline's event schema cannot read."""
    MALFORMED = "input_malformed"
    """Not JSON, or not of its schema."""
    TRUNCATED = "input_truncated"
    """The bytes end before the record does."""
    TRAILING = "input_trailing"
    """Bytes are left after the record's last field."""
    BAD_VARINT = "input_bad_varint"
    """An integer over 10 bytes, over 64 bits (32 for int), or not in its shortest form."""
    BAD_UTF8 = "input_bad_utf8"
    """Text that is not UTF-8."""
    BAD_INDEX = "input_bad_index"
    """A union branch or enum symbol that the schema does not have."""
    BAD_LENGTH = "input_bad_length"
    """A negative length, or an array or map block whose stated size is not its real one."""
    BAD_BOOLEAN = "input_bad_boolean"
    """A boolean byte other than 0 and 1."""
    UNDECODABLE = "input_undecodable"
    """Well formed for its writer, but the reader's schema cannot take it."""


class Refused(Exception):  # noqa: N818 (a verdict, not an error of ours)
    """Why one record is refused. `path` names the fields around the value, innermost first: each adds its own."""

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


def empty(length: int) -> Refused:
    """The verdict on a value of no bytes, or on a null, whose length is -1."""
    return Refused(DecodeReason.EMPTY, "the value is null." if length < 0 else "the value has no bytes.")


def too_large(length: int, max_bytes: int) -> Refused:
    """The verdict on a value that is longer than its cap."""
    return Refused(DecodeReason.TOO_LARGE, f"{length} bytes, but the cap is {max_bytes}.")
