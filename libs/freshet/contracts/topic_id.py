"""The broker's id of a topic: a topic that is deleted and made anew under its name has another one.

In text it is 22 characters of URL-safe base64, as the broker's own tools show it; in records it is the 16 bytes
themselves (Avro `fixed` TopicId).
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from freshet.contracts.errors import ContractError

SIZE: Final = 16
UNKNOWN_BYTES: Final = bytes(SIZE)
"""Stands in records of older releases, whose writers did not know the id."""

PATTERN: Final = "[A-Za-z0-9_-]{22}"
_TEXT: Final = re.compile(PATTERN)


def to_bytes(text: str) -> bytes:
    """The 16 bytes of an id in text; raises ContractError on anything but 22 characters of URL-safe base64."""
    if not _TEXT.fullmatch(text):
        raise ContractError(f"{text!r} is not a topic id: that is 22 characters of URL-safe base64.")
    return urlsafe_b64decode(text + "==")


def to_text(value: bytes) -> str:
    """The text of an id of 16 bytes, which may become a part of keys that are joined by a slash."""
    assert len(value) == SIZE
    return urlsafe_b64encode(value)[:22].decode()
