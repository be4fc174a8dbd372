"""The state of profiles: it fits into a record however wide rows are, and that of an older release goes on."""

import base64
import json
from typing import Any

import numpy as np
import pytest

from freshet.avro.control import encode
from freshet.contracts.arrays import Floats32
from freshet.contracts.state_messages import StateRange
from freshet.drift.core.profile.open_frame import FIRST_ROWS, OpenFrame, grouped, joined
from freshet.drift.core.profile.profile_rows import InputColumns, ReadRows
from freshet.drift.core.profile.profile_state import from_bytes, to_bytes
from freshet.profiles.bin_edges import answer_names
from freshet.profiles.frame_making import frame_rows
from freshet.runtime.record_caps import KAFKAS_CAP_BYTES
from freshet.runtime.record_size import lone_batch_bytes
from freshet.runtime.state.state_records import record_of

NEW = {"features": OpenFrame(), "predictions": OpenFrame(chooses=False)}
NOTHING = np.zeros(0, np.int64)


def rows(first: int, values: Floats32, width: int) -> ReadRows:
    """These rows, as a batch holds them."""
    count = len(values)
    offsets, epochs = first + np.arange(count), np.ones(count, np.int64)
    return ReadRows([InputColumns(offsets, offsets * 10, values, ["1.0.0"] * count, epochs, width)], NOTHING)


def values_of(count: int, width: int) -> Floats32:
    """Values that are not to be compressed."""
    return np.random.default_rng(1).normal(size=(count, width)).astype(np.float32)


def fullest(features: int, classes: int) -> dict[str, OpenFrame]:
    """As many rows in both open frames as there can be, and all first rows."""
    names = tuple(f"c{at}" for at in range(classes))
    most = frame_rows(features)
    vectors = NEW["features"].with_rows(rows(0, values_of(most, features), features))
    vectors = vectors.with_rows(rows(most, values_of(most, features), features))
    width = classes + 2
    most = frame_rows(width)
    answers = NEW["predictions"].with_rows(rows(0, values_of(most, len(answer_names(names))), width))
    assert (sum(map(_length, vectors.parts)), sum(map(_length, answers.parts))) == (frame_rows(features), most)
    assert vectors.has_first_rows
    return {"features": vectors, "predictions": answers}


def _length(part: InputColumns) -> int:
    return len(part.offsets)


@pytest.mark.parametrize("features", [1, 80, 160, 320, 640, 1280])
@pytest.mark.parametrize("classes", [2, 38, 78, 80, 350])
def test_the_fullest_state_fits_into_a_record(features: int, classes: int) -> None:
    """Also with columns that fill a frame to the last byte: these are the worst widths."""
    frames = fullest(features, classes)
    body = to_bytes(frames)
    ranges = [StateRange(role=role, topic_id="t" * 22, since=0, first=0, end=1 << 40, plan_first=1) for role in frames]
    record = record_of(0, ranges, 1, 1, body)
    assert lone_batch_bytes(b"0", encode(record), None) < KAFKAS_CAP_BYTES


def older(frames: dict[str, OpenFrame]) -> bytes:
    """The same state as older releases wrote it: JSON, and columns as text in it."""

    def text(column: Any) -> str:
        return base64.b64encode(np.ascontiguousarray(column).tobytes()).decode()

    def packed(parts: tuple[InputColumns, ...]) -> dict[str, Any] | None:
        if not parts:
            return None
        found = joined(parts)
        groups = grouped(found)
        return {
            "width": found.values.shape[1],
            "offsets": text(found.offsets.astype("<i8")),
            "times": text(found.times_ms.astype("<i8")),
            "values": text(found.values.astype("<f4")),
            "groups": text(groups.groups.astype("<i4")),
            "versions": groups.versions,
            "epochs": groups.epochs,
        }

    told = {
        role: {
            "since": one.since,
            "from": one.from_offset,
            "key": list(one.key),
            "times": [one.first_ms, one.last_ms],
            "refused": [one.refused, one.loose],
            "parts": packed(one.parts),
            "first": packed(one.first_rows),
            "first_seen": [one.first_width, one.first_count],
        }
        for role, one in frames.items()
    }
    return json.dumps(told, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize("classes", [2, 80, 300])
def test_what_an_older_release_kept_goes_on_as_if_this_one_had_kept_it(classes: int) -> None:
    """It kept the scores of all classes, and first rows of answers, too; frames end at the same rows."""
    width, names = (classes + 2 if classes > 2 else 3), answer_names(tuple(f"c{at}" for at in range(classes)))
    every = values_of(100, width)
    features = OpenFrame().with_rows(rows(5, values_of(40, 7), 7))
    then = {"features": features, "predictions": OpenFrame().with_rows(rows(7, every[:50], width))}
    now = {"features": features, "predictions": NEW["predictions"].with_rows(rows(7, every[:50, : len(names)], width))}
    found = from_bytes(older(then), NEW, {"predictions": len(names)})
    assert to_bytes(found) == to_bytes(now)
    more = rows(57, np.tile(every[50:, : len(names)], (24, 1)), width)
    ended, expected = found["predictions"].with_rows(more), now["predictions"].with_rows(more)
    assert [(one.from_offset, one.to_offset) for one in ended.closed] == [
        (one.from_offset, one.to_offset) for one in expected.closed
    ]
    assert ended.closed
    np.testing.assert_array_equal(ended.closed[0].rows.values, expected.closed[0].rows.values)


def test_a_state_comes_back_from_its_bytes() -> None:
    """Also one of which nothing was read; first rows are kept of what edges are chosen from."""
    frames = fullest(10, 100)
    again = from_bytes(to_bytes(frames), NEW, {})
    assert to_bytes(again) == to_bytes(frames)
    assert again["features"].first_count == FIRST_ROWS
    assert again["predictions"].first_rows == ()
    assert to_bytes(from_bytes(to_bytes(NEW), NEW, {})) == to_bytes(NEW)
