"""Columns of events to Kafka values, the way a pipeline's producers write them: Avro or JSON."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from freshet.avro import Column, Columns, Encoder, Enum, Nullable, Objects, Ragged, Strings
from freshet.avro.own_schemas import Schema
from freshet.contracts.errors import ContractError
from freshet.pipeline import PipelineSpec

Encode = Callable[[Columns], list[bytes]]
"""One value per row; raises ValueError where a column does not fit the schema."""

IMPOSSIBLE_SYMBOL = "NOT_A_SYMBOL"
"""A symbol that no enum of an event schema has."""


def event_encoder(spec: PipelineSpec, schema: Schema, schema_id: int) -> Encode:
    """How a well-behaved producer of this pipeline writes its events.

    Raises ContractError for a decoder of the user's own: only they know what it reads.
    """
    if spec.decoder == "avro":
        return Encoder(schema, schema_id).encode
    if spec.decoder == "json":
        return json_values
    raise ContractError(
        f"pipeline {spec.pipeline!r} reads its events with the decoder {spec.decoder!r}, and Freshet cannot write what "
        "that one reads: publish the events with a producer of your own."
    )


def json_values(columns: Columns) -> list[bytes]:
    """One JSON object per row; `outer.inner` becomes a nested object, NaN the word that JSON does not know."""
    rows: list[dict[str, Any]] = [{} for _ in range(len(next(iter(columns.values()))))]
    for name, column in columns.items():
        *outer, last = name.split(".")
        for row, value in zip(rows, plain(column), strict=True):
            at = row
            for step in outer:
                at = at.setdefault(step, {})
            at[last] = value
    return [json.dumps(row, separators=(",", ":")).encode() for row in rows]


def plain(column: Column) -> list[Any]:
    """A column as Python values: numbers, text, lists, None for null."""
    if isinstance(column, Nullable):
        return [value if valid else None for value, valid in zip(plain(column.values), column.valid, strict=True)]
    if isinstance(column, Strings):
        return [text.decode(errors="replace") for text in column.tobytes()]
    if isinstance(column, Objects):
        return column.values
    if isinstance(column, Ragged):
        return [part.tolist() for part in _parts(column)]
    return column.tolist()


def with_impossible_symbol(schema: Schema) -> Schema:
    """The schema with one more symbol at the end of every enum: what it writes, the real one must refuse."""
    more: dict[str, Any] = json.loads(json.dumps(schema))  # a copy to write into
    for node in _nodes(more):
        if node.get("type") == "enum":
            node["symbols"].append(IMPOSSIBLE_SYMBOL)
    return more


def widened(columns: Columns) -> dict[str, Column]:
    """Columns of a schema as `with_impossible_symbol` wants them."""
    return {name: _widened(column) for name, column in columns.items()}


def _widened(column: Column) -> Column:
    if isinstance(column, Nullable):
        return Nullable(_widened(column.values), column.valid)
    return Enum(column.codes, (*column.symbols, IMPOSSIBLE_SYMBOL)) if isinstance(column, Enum) else column


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object in a schema."""
    if isinstance(schema, dict):
        yield schema
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            yield from _nodes(part)


def _parts(column: Ragged) -> Iterator[Any]:
    at = 0
    for length in column.lengths.tolist():
        yield column.flat[at : at + length]
        at += length
