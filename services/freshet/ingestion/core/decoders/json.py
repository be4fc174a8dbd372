"""`json`: one JSON object per event, without framing, held to event.avsc."""

import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any, ClassVar, NoReturn

import numpy as np
from fastavro import schemaless_writer
from fastavro.schema import parse_schema

from freshet.avro import Decoder
from freshet.avro.framed import RefusedRow, Rows
from freshet.avro.schemas import Schema
from freshet.ingestion.core.decoder import EventDecoder
from freshet.ingestion.core.json_schema import Misfit, json_reader


class JsonDecoder(EventDecoder):
    """Each event becomes Avro of the newest schema first, so that JSON and Avro producers get the same columns.

    Costs Python time per event, several times that of `avro`.
    """

    kind: ClassVar[str] = "json"

    def __init__(
        self,
        schemas: Mapping[int, Schema],  # noqa: ARG002
        reader: Schema,
        *,
        max_bytes: int,
        ignore_unknown: bool = False,
    ) -> None:
        self._schema = parse_schema(dict(reader))
        self._accept = json_reader(reader, ignore_unknown=ignore_unknown)
        self._decoder = Decoder(reader, max_bytes=max_bytes)
        self._max_bytes = max_bytes

    def read(self, values: Sequence[bytes | None]) -> Rows:
        """Decode at least one value; a row is refused as malformed where it differs from the schema in any way."""
        bodies: list[bytes] = []
        at: list[int] = []
        refused: list[RefusedRow] = []
        for row, value in enumerate(values):
            try:
                bodies.append(self._as_avro(value))
                at.append(row)
            except Misfit as misfit:
                refused.append(RefusedRow(row, misfit.reason, misfit.detail))
        decoded = self._decoder.decode(bodies, offset=0)
        refused += [RefusedRow(at[bad.row], f"input_{bad.reason}", bad.detail) for bad in decoded.bad]
        return Rows(np.array(at, np.int64)[decoded.good], decoded.columns, refused)

    def _as_avro(self, value: bytes | None) -> bytes:
        if not value:
            raise Misfit("the value is null." if value is None else "the value has no bytes.", "input_empty")
        if len(value) > self._max_bytes:
            raise Misfit(f"{len(value)} bytes, but the cap is {self._max_bytes}.", "input_too_large")
        if value[0] == 0:
            raise Misfit(_framed(value), "input_framing")
        body = BytesIO()
        # Accepting may stand deeper on the stack than parsing did, so both can find a value too deep.
        try:
            schemaless_writer(body, self._schema, self._accept(_parsed(value)))
        except RecursionError:
            raise Misfit("it is nested deeper than this reader can follow.") from None
        return body.getvalue()


def _framed(value: bytes) -> str:
    """What is said of a value that begins as no JSON text can, but as serializers with a schema registry write."""
    what = "JSON Schema" if value[5:].lstrip()[:1] in (b"{", b"[") else "Avro or Protobuf"
    return (
        f"it begins with byte 00 and schema id {int.from_bytes(value[1:5], 'big')}, as a serializer for {what} with a "
        "schema registry frames values. Send the bare JSON object, or Avro with `decoder: avro` in pipeline.yaml."
    )


def _parsed(value: bytes) -> Any:
    try:
        return json.loads(value.decode(), object_pairs_hook=_distinct, parse_constant=_no_constant)
    except ValueError as error:
        raise Misfit(f"this is not JSON as RFC 8259 has it: {error}.") from None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a key is written twice")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
