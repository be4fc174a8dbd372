"""What an event decoder is: Kafka values in, columns of the pipeline's event schema out."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from freshet.avro.own_schemas import Schema
from freshet.avro.rows import Rows


class EventDecoder:
    """Reads the values of one pipeline's events.

    `schemas` are all event schemas that the pipeline ever had, by id; `reader` is the one whose columns come out.
    With `ignore_unknown`, a format that names its fields (JSON) may have fields that the reader lacks. Raises
    SchemaError if one of the schemas cannot be used.
    """

    kind: ClassVar[str]

    def __init__(
        self, schemas: Mapping[int, Schema], reader: Schema, *, max_bytes: int, ignore_unknown: bool = False
    ) -> None:
        raise NotImplementedError

    def read(self, values: Sequence[bytes | None]) -> Rows:
        """Decode at least one value; never raises, every row that cannot be read is refused.

        The reason `UNKNOWN_SCHEMA` means "not yet": the partition waits a while for that schema id to be published.
        """
        raise NotImplementedError
