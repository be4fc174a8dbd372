"""`avro`: Avro in Confluent's framing, as every serializer of that kind writes it."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from freshet.avro.framed import FramedReader
from freshet.avro.own_schemas import Schema
from freshet.avro.rows import Rows
from freshet.ingestion.core.decoder import EventDecoder


class AvroDecoder(EventDecoder):
    """Each event is read with the schema its id names and resolved to the newest one."""

    kind: ClassVar[str] = "avro"

    def __init__(
        self,
        schemas: Mapping[int, Schema],
        reader: Schema,
        *,
        max_bytes: int,
        ignore_unknown: bool = False,  # noqa: ARG002
    ) -> None:
        self._reader = FramedReader(schemas, reader, max_bytes=max_bytes)

    def read(self, values: Sequence[bytes | None]) -> Rows:
        return self._reader.read(values)
