"""Reads the log of profiles, and tells whether it is whole."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Final, NamedTuple

from freshet.avro.control import decode
from freshet.avro.rows import RefusedRow, own_records
from freshet.contracts.batch import Batch
from freshet.contracts.errors import ContractError
from freshet.contracts.profile_messages import Frame
from freshet.profiles.frame_content import check_frame

PROFILES: Final = "profiles"


class PlacedFrame(NamedTuple):
    """A frame, and where it stands in the log."""

    offset: int
    at_ms: int
    """When it was appended."""
    frame: Frame


class FoundFrames(NamedTuple):
    """The frames of a batch, and the rows that are none."""

    frames: list[PlacedFrame]
    refused: list[RefusedRow]


def frames_of(pipeline: str, batch: Batch) -> FoundFrames:
    """Tell this pipeline's frames from what strangers wrote to its topic.

    What is no frame may be passed over: each says where the one before it ended. Raises NewerRecordError at one of a
    later release.
    """
    found, refused = own_records(PROFILES, pipeline, batch, partial(_frame, pipeline))
    offsets, times_ms = batch.offsets.tolist(), batch.timestamps_ms.tolist()
    return FoundFrames([PlacedFrame(offsets[row], times_ms[row], frame) for row, frame in found], refused)


def next_offsets(expected: Mapping[str, int], frames: Iterable[PlacedFrame]) -> dict[str, int]:
    """Where the next frame of each kind, topic and partition must begin after these; one that is new may anywhere.

    Raises ContractError where a frame lacks or comes twice, as all counts after that would be wrong.
    """
    due = dict(expected)
    for offset, _, frame in frames:
        key = f"{frame.kind}/{frame.partition}/{frame.topic}"
        if (begins := due.get(key, frame.from_offset)) != frame.from_offset:
            what = "were lost" if frame.from_offset > begins else "came twice"
            first, end = sorted((begins, frame.from_offset))
            raise ContractError(
                f"frames of the {frame.kind} offsets {first} to {end} of partition {frame.partition} {what} before "
                f"record {offset} of the profiles: the topic was changed by other hands, or its oldest records have "
                "expired unread. Make the topic anew: profiles then begin with the rows that come next."
            )
        due[key] = frame.to_offset
    return due


def whole_frames(pipeline: str, batches: Iterable[Batch]) -> Iterator[PlacedFrame]:
    """The frames of a log, in order."""
    for batch in batches:
        yield from frames_of(pipeline, batch).frames


def _frame(pipeline: str, value: bytes | None) -> Frame:
    """The record. Raises ContractError if it is none of this pipeline's frames."""
    if value is None:
        raise ContractError("the record is empty: a stranger wrote it.")
    record = decode(PROFILES, value)
    if not isinstance(record, Frame) or record.pipeline != pipeline:
        raise ContractError(f"the record is no frame of pipeline {pipeline!r}: a stranger wrote it.")
    check_frame(record)
    return record
