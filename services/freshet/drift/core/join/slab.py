"""Rows of one log as the bytes of a slab. The same rows give the same bytes, whoever writes them.

A header (JSON, after its length as uint32) says how many rows there are, under which plan they were read, and what
`version` and `topic` count from 0. Then come the columns: offsets and times as differences in the narrowest width that
holds them, all else as it is. Bytes per row, measured: 38 for a prediction of two classes, 20 for a label.
"""

import json
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from freshet.contracts.arrays import Ints
from freshet.drift.core.join.join_rows import Table, renumbered

_ASCENDS: Final = ("offset", "time_ms", "features_offset")
_BESIDE_TIME: Final = ("event_time_ms", "claimed_ms")
_CODED: Final = ("version", "topic")
_WIDTHS: Final = [np.dtype(kind) for kind in ("<u1", "<u2", "<u4", "<u8")]

_NONE: Final = b'{"rows": 0}'
"""The header where all records of a range were refused."""


def encode(rows: Table, names: dict[str, list[str]]) -> bytes:
    """Rows of one plan, or none; `names` are what the columns `version` and `topic` count, by column."""
    if not rows.size:
        return len(_NONE).to_bytes(4, "little") + _NONE
    head: dict[str, Any] = {"rows": rows.size, "plan": int(rows["plan"][0])}
    parts = []
    for column in rows.dtype.names or ():
        values = rows[column]
        if column == "plan":
            continue
        if column in _CODED:
            used, values = renumbered(values)
            head[column] = [names[column][code] for code in used]
            values = values.astype("<u2")
        if column in _ASCENDS:
            parts += [int(values[0]).to_bytes(8, "little", signed=True), _narrow(np.diff(values))]
        elif column in _BESIDE_TIME:
            parts.append(_narrow(rows["time_ms"] - values))
        else:
            parts.append(np.ascontiguousarray(values).tobytes())
    text = json.dumps(head, sort_keys=True).encode()
    return len(text).to_bytes(4, "little") + text + b"".join(parts)


def decode(body: bytes, kind: np.dtype[Any], names: dict[str, list[str]]) -> Table:
    """The rows. Names that are new are added to `names`."""
    size = int.from_bytes(body[:4], "little")
    head, data = json.loads(body[4 : 4 + size]), _Reader(body, 4 + size)
    rows = np.zeros(head["rows"], kind)
    if not rows.size:
        return rows
    rows["plan"] = head["plan"]
    for column in kind.names or ():
        if column == "plan":
            continue
        if column in _ASCENDS:
            first = data.plain(np.dtype("<i8"), (1,))
            rows[column] = np.cumsum(np.append(first, data.narrow(rows.size - 1)))
        elif column in _BESIDE_TIME:
            rows[column] = rows["time_ms"] - data.narrow(rows.size)
        else:
            rows[column] = data.plain(rows[column].dtype, rows[column].shape)
        if column in _CODED:
            codes = np.array([code_of(name, names[column]) for name in head[column]], np.int64)
            rows[column] = codes[rows[column]]
    return rows


def code_of(name: str, names: list[str]) -> int:
    """Where the name stands among them; it is added if it is new."""
    if name not in names:
        names.append(name)
    return names.index(name)


def _narrow(values: Ints) -> bytes:
    """Signs folded into the lowest bit, so that small numbers of either sign are narrow."""
    folded = ((values << 1) ^ (values >> 63)).view(np.uint64)
    top = int(folded.max(initial=0))
    width = 0 if top < 1 << 8 else 1 if top < 1 << 16 else 2 if top < 1 << 32 else 3
    return bytes([width]) + folded.astype(_WIDTHS[width]).tobytes()


class _Reader:
    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at

    def narrow(self, count: int) -> Ints:
        kind = _WIDTHS[self._data[self._at]]
        self._at += 1
        folded = self.plain(kind, (count,)).astype(np.uint64)
        result: Ints = (folded >> np.uint64(1)).view(np.int64) ^ -(folded & np.uint64(1)).view(np.int64)
        return result

    def plain(self, kind: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        count = int(np.prod(shape))
        values = np.frombuffer(self._data, kind, count, self._at)
        self._at += count * kind.itemsize
        return values.reshape(shape)
