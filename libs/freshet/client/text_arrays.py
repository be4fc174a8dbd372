"""Text as numpy arrays. numpy gives every row the room of the longest, which one stranger's text could make huge."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

_CHARACTER_BYTES: Final = 4
_ROOM_BYTES: Final = 64 << 20
_WASTE: Final = 8
"""Above `_ROOM_BYTES`, so many times the room of the texts themselves is too much."""


def text_array(texts: Sequence[str]) -> Any:
    """The texts as `str_`; as `object` where their padding would take too much room."""
    lengths = [len(text) for text in texts]
    padded_bytes = _CHARACTER_BYTES * len(texts) * max(lengths, default=0)
    is_wasteful = _is_wasteful(padded_bytes, _CHARACTER_BYTES * sum(lengths))
    return np.array(texts, dtype=object if is_wasteful else np.str_)


def joined(parts: Sequence[Any]) -> Any:
    """Arrays of one column, one behind the other; text stays in as little room as before."""
    if parts[0].dtype.kind in "UO":
        padded_bytes = sum(map(len, parts)) * max(part.itemsize for part in parts)
        if _is_wasteful(padded_bytes, sum(part.nbytes for part in parts)):
            parts = [part.astype(object) for part in parts]
    return np.concatenate(parts)


def _is_wasteful(padded_bytes: int, needed_bytes: int) -> bool:
    return padded_bytes > max(_ROOM_BYTES, _WASTE * needed_bytes)
