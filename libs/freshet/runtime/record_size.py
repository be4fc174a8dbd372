"""What a record weighs on a Kafka broker, whose limit (`max.message.bytes`) is on the batch it travels in."""

from collections.abc import Sequence
from typing import Final

from freshet.contracts.batch import Headers
from freshet.runtime.bus.protocol import Send

BATCH_HEADER_BYTES: Final = 61


def lone_batch_bytes(key: bytes | None, value: bytes | None, headers: Headers | None) -> int:
    """Bytes of an uncompressed batch with this record alone: the least that its topic must take."""
    return BATCH_HEADER_BYTES + record_bytes(key, value, headers)


def record_bytes(key: bytes | None, value: bytes | None, headers: Headers | None, index: int = 0) -> int:
    """Bytes of a record at that index of a batch whose records all have the same timestamp (format 2)."""
    body = 1 + 1 + _number_bytes(index) + _text_bytes(key) + _text_bytes(value)  # attributes and timestamp: a byte each
    body += _number_bytes(len(headers or ()))
    body += sum(_text_bytes(name.encode()) + _text_bytes(text) for name, text in headers or ())
    return _number_bytes(body) + body


def largest_bytes(send: Send) -> int:
    """What the largest of these records weighs alone: its topic must take so much, or the record is refused."""
    return max(map(lone_batch_bytes, send.keys, send.values, headers_of(send)), default=0)


def headers_of(send: Send) -> Sequence[Headers | None]:
    """The headers of each row; None where there are none."""
    return send.headers if send.headers is not None else [None] * len(send.values)


def _text_bytes(text: bytes | None) -> int:
    return 1 if text is None else _number_bytes(len(text)) + len(text)


def _number_bytes(number: int) -> int:
    """A varint in zigzag form: seven bits a byte, one bit for the sign."""
    return max(1, ((2 * number).bit_length() + 6) // 7)
