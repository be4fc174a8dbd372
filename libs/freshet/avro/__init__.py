"""Columns to Kafka values and back: Avro in Confluent's frame, strict, and fast for whole batches."""

from freshet.avro.columns import (
    Column,
    Columns,
    Enum,
    Nullable,
    NumericColumn,
    Objects,
    Ragged,
    Strings,
    concat,
    take,
)
from freshet.avro.decode import Decoder
from freshet.avro.encode import Encoder
from freshet.avro.frame import Joined, frame_header, frame_ids
from freshet.avro.parsing import lint
from freshet.avro.reasons import DecodeReason
from freshet.avro.rows import RefusedRow, Rows

__all__ = [
    "Column",
    "Columns",
    "DecodeReason",
    "Decoder",
    "Encoder",
    "Enum",
    "Joined",
    "Nullable",
    "NumericColumn",
    "Objects",
    "Ragged",
    "RefusedRow",
    "Rows",
    "Strings",
    "concat",
    "frame_header",
    "frame_ids",
    "lint",
    "take",
]
