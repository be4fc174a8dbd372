"""Columns to Kafka values and back: Avro in Confluent's frame, strict, and fast for whole batches."""

from freshet.contracts.codec.columns import (
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
from freshet.contracts.codec.decode import Decoded, Decoder
from freshet.contracts.codec.encode import Encoder
from freshet.contracts.codec.frame import Joined, frame_header, frame_ids
from freshet.contracts.codec.reasons import BadRow, DecodeReason
from freshet.contracts.codec.schema import lint

__all__ = [
    "BadRow",
    "Column",
    "Columns",
    "DecodeReason",
    "Decoded",
    "Decoder",
    "Encoder",
    "Enum",
    "Joined",
    "Nullable",
    "NumericColumn",
    "Objects",
    "Ragged",
    "Strings",
    "concat",
    "frame_header",
    "frame_ids",
    "lint",
    "take",
]
