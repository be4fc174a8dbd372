"""A range of a topic as a Parquet file, with a digest of what it says."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from freshet.contracts.batch import Batch
from freshet.operate.export.content_digest import ContentDigest
from freshet.operate.export.parquet_writer import ParquetWriter
from freshet.operate.export.topic_range import TopicRange
from freshet.operate.export.topic_tables import topic_table_of
from freshet.operate.operate_error import OperateError
from freshet.pipeline import PipelineSpec
from freshet.runtime.bus.protocol import Bus, Place

_LARGE: Final = ("outcomes", "dead-letters", "feedback")
"""Roles whose records may be of a megabyte."""
_READ_OFFSETS: Final = 20_000
_READ_LARGE: Final = 200


@dataclass(frozen=True, slots=True)
class Exported:
    """What a file holds."""

    rows: int
    left_out: int
    """Records of the range that are no rows: what strangers wrote, and receipts among dead letters."""
    digest: str
    """See `ContentDigest`."""


def range_batches(bus: Bus, wanted: TopicRange) -> Iterator[Batch]:
    """The records of a range that a read_committed reader sees, partition by partition, in order.

    Raises OperateError if the range is not all there any more at the end: retention or somebody's hand has taken of it.
    """
    step = _READ_LARGE if wanted.role in _LARGE else _READ_OFFSETS
    reader = bus.ranges([wanted.role])
    try:
        for partition, (first, end) in wanted.offsets.items():
            at = first
            while at < end:
                records, reached = reader.read(Place(wanted.role, partition), at, min(at + step, end))
                if reached <= at:  # the log ends here, although it was longer
                    raise _lost(wanted.role)
                at = reached
                yield Batch(wanted.role, records)
    finally:
        reader.close()
    lows = {number: span.low for number, span in bus.spans(wanted.role).items()}
    there = all(first == end or lows.get(number, end) <= first for number, (first, end) in wanted.offsets.items())
    if not there or bus.topic_id(wanted.role) != wanted.topic_id:
        raise _lost(wanted.role)


def _lost(role: str) -> OperateError:
    return OperateError(
        f"the {role} topic has lost records of this range while it was read: retention took them, or the topic was "
        "made anew. Export again, from a later offset on.",
        "failed",
    )


def export(bus: Bus, spec: PipelineSpec, number: int, wanted: TopicRange, path: Path) -> Exported:
    """Write a range to a Parquet file, which appears when it is whole; `number` is that of the specification.

    Rows are in the order of partitions and offsets. The same range under the same specification gives the same digest,
    and the same file as long as the version of pyarrow is the same. Memory is bounded. Raises OperateError.
    """
    table = topic_table_of(wanted.role, spec)
    digest, rows, left_out = ContentDigest(table.schema), 0, 0
    try:
        with ParquetWriter(path, table.schema) as out:
            for batch in range_batches(bus, wanted):
                part, strange = table.rows(batch)
                digest.add(part)
                out.add(part)
                rows, left_out = rows + part.num_rows, left_out + strange
            exported = Exported(rows, left_out, digest.hexdigest())
            out.finish(_metadata(spec, number, wanted, exported))
    except OSError as error:
        raise OperateError(f"{path} cannot be written: {error.strerror or error}.", "usage") from error
    return exported


def _metadata(spec: PipelineSpec, number: int, wanted: TopicRange, exported: Exported) -> dict[str, Any]:
    """What the file says of itself: nothing that differs between two exports of one range."""
    told = {
        "pipeline": spec.pipeline,
        "role": wanted.role,
        "specification": str(number),
        "topic_id": wanted.topic_id,
        "from": wanted.first_text,
        "to": wanted.end_text,
        "rows": str(exported.rows),
        "left_out": str(exported.left_out),
        "digest": exported.digest,
    }
    return {f"freshet.{name}": value for name, value in told.items()}
