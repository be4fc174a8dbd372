"""The state of profiles as bytes: a head in JSON, then the columns of the rows as they are.

Open frames and first rows of wide features and many classes take nearly as much as one record may have.
"""

import base64
import json
import struct
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from freshet.contracts.arrays import Floats32
from freshet.drift.core.profile.open_frame import OpenFrame, grouped, joined
from freshet.drift.core.profile.profile_rows import InputColumns

_HEAD: Final = struct.Struct("<cI")
"""Which layout, and how many bytes of JSON follow. Older releases wrote JSON alone, with columns as text in it."""
_LAYOUT: Final = b"\x01"


def to_bytes(frames: Mapping[str, OpenFrame]) -> bytes:
    """The state of a partition, by input; the same state gives the same bytes, however its rows came."""
    columns = bytearray()
    told = {role: _told(one, columns) for role, one in frames.items()}
    text = json.dumps(told, sort_keys=True, separators=(",", ":")).encode()
    return b"".join([_HEAD.pack(_LAYOUT, len(text)), text, columns])


def from_bytes(body: bytes, new: Mapping[str, OpenFrame], counted: Mapping[str, int]) -> dict[str, OpenFrame]:
    """The state that gave these bytes. `new` are frames of which nothing was read.

    Of inputs in `counted` only so many columns are kept: older releases kept all scores, however many classes.
    """
    if body.startswith(_LAYOUT):
        _, size = _HEAD.unpack_from(body)
        told, columns = json.loads(body[_HEAD.size : _HEAD.size + size]), body[_HEAD.size + size :]
    else:
        told, columns = json.loads(body), b""
    return {role: _frame(values, columns, new[role], counted.get(role)) for role, values in told.items()}


def _told(one: OpenFrame, columns: bytearray) -> dict[str, Any]:
    return {
        "since": one.since,
        "from": one.from_offset,
        "key": list(one.key),
        "times": [one.first_ms, one.last_ms],
        "refused": [one.refused, one.loose],
        "parts": _packed(one.parts, columns),
        "first": _packed(one.first_rows, columns),
        "first_seen": [one.first_width, one.first_count],
    }


def _frame(told: dict[str, Any], columns: bytes, new: OpenFrame, counted: int | None) -> OpenFrame:
    first_ms, last_ms = told["times"]
    refused, loose = told["refused"]
    width, count = told["first_seen"] if new.chooses else (0, 0)
    return OpenFrame(
        told["since"],
        told["from"],
        tuple(told["key"]),
        first_ms,
        last_ms,
        refused,
        loose,
        _unpacked(told["parts"], columns, counted),
        _unpacked(told["first"], columns, counted) if new.chooses else (),
        width,
        count,
        new.chooses,
    )


def _packed(parts: tuple[InputColumns, ...], columns: bytearray) -> dict[str, Any] | None:
    if not parts:
        return None
    rows = joined(parts)
    groups = grouped(rows)

    def place(column: Any) -> list[int]:
        data, at = np.ascontiguousarray(column).tobytes(), len(columns)
        columns.extend(data)
        return [at, len(data)]

    return {
        "width": rows.width,
        "columns": rows.values.shape[1],
        "offsets": place(rows.offsets.astype("<i8")),
        "times": place(rows.times_ms.astype("<i8")),
        "values": place(rows.values.astype("<f4")),
        "groups": place(groups.groups.astype("<i4")),
        "versions": groups.versions,
        "epochs": groups.epochs,
    }


def _unpacked(told: dict[str, Any] | None, columns: bytes, counted: int | None) -> tuple[InputColumns, ...]:
    if told is None:
        return ()

    def numbers(name: str, kind: str) -> Any:
        place = told[name]
        data = base64.b64decode(place) if isinstance(place, str) else columns[place[0] : sum(place)]
        return np.frombuffer(data, np.dtype(kind))

    groups = numbers("groups", "<i4").astype(np.int64)
    values: Floats32 = numbers("values", "<f4").reshape(-1, told.get("columns", told["width"]))
    versions = [told["versions"][group] for group in groups.tolist()]
    epochs = np.array(told["epochs"], np.int64)[groups]
    return (
        InputColumns(
            numbers("offsets", "<i8"), numbers("times", "<i8"), values[:, :counted], versions, epochs, told["width"]
        ),
    )
