"""Schema ids of a user's registry, for whoever shows or compares events: asked for while somebody waits, never long."""

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from queue import Empty, SimpleQueue
from typing import Final

from freshet.avro.own_schemas import Schema, may_be_event_id
from freshet.avro.written_schema import FoundSchema, UnfitSchemaError, read_written
from freshet.contracts.errors import ContractError, FreshetError
from freshet.contracts.messages import PipelineRecord
from freshet.pipeline import PipelineSpec
from freshet.runtime.registry_client import RegistryError
from freshet.runtime.registry_schemas import find_schema

PATIENCE_S: Final = 5.0
"""So long a registry may keep a person waiting, all its ids together, in each window."""
WINDOW_S: Final = 30.0
"""So long nothing more is asked of a registry that was away or slow, and ids that it did not know are believed."""

Find = Callable[[str, int, str], FoundSchema]
"""See `find_schema`."""


class ForeignIds:
    """What one pipeline's registry says of schema ids. Blocks for `PATIENCE_S` at most, and never raises."""

    def __init__(
        self,
        registry: str,
        reader: Schema,
        known_login: str = "",
        *,
        find: Find = find_schema,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`registry` is its address, `reader` the pipeline's event schema, `known_login` FRESHET_SCHEMA_REGISTRY."""
        self.registry, self.reader = registry, reader
        self._login, self._find, self._now_s = known_login, find, now_s
        self._schemas: dict[int, Schema] = {}
        self._unfit: dict[int, str] = {}
        self._unknown: set[int] = set()
        self._began_s, self._left_s = now_s(), PATIENCE_S
        self.trouble = ""
        """Why it is not asked any more just now."""

    def may_know(self, schema_id: int) -> bool:
        """Whether this can be an id of a registry: neither one that `freshet apply` gives, nor none at all."""
        return schema_id >= 0 and not may_be_event_id(schema_id)

    def schemas(self, schema_ids: Iterable[int]) -> Mapping[int, Schema]:
        """Those of these ids that are found, and that the pipeline's event schema can read. Others: see `why`."""
        wanted = sorted(filter(self.may_know, set(schema_ids)))
        for schema_id in wanted:
            if schema_id not in self._schemas and schema_id not in self._unfit:
                self._ask(schema_id)
        return {schema_id: self._schemas[schema_id] for schema_id in wanted if schema_id in self._schemas}

    def why(self, schema_id: int) -> str:
        """Why this id, which was asked for, has no schema."""
        if schema_id in self._unfit:
            return f"its schema cannot be used: {self._unfit[schema_id]}"
        return "the registry does not know this id." if schema_id in self._unknown else self.trouble

    def _ask(self, schema_id: int) -> None:
        begin_s = self._now_s()
        if begin_s - self._began_s >= WINDOW_S:
            self._began_s, self._left_s, self.trouble = begin_s, PATIENCE_S, ""
            self._unknown.clear()
        if self.trouble or schema_id in self._unknown:
            return
        try:
            found = self._within(schema_id, self._left_s)
            if found.text is None:
                self._unknown.add(schema_id)
            else:
                self._schemas[schema_id] = read_written(found, self.reader)
        except UnfitSchemaError as error:
            self._unfit[schema_id] = str(error)
        except FreshetError as error:
            self.trouble = str(error)
        self._left_s -= self._now_s() - begin_s
        if self._left_s <= 0 and not self.trouble:
            self.trouble = f"{self.registry} is slow: its ids took {PATIENCE_S:.0f} s, and no more are asked for now."

    def _within(self, schema_id: int, limit_s: float) -> FoundSchema:
        """Asks on a thread that is left behind if need be: no limit of a socket holds while a name is looked up."""
        answers: SimpleQueue[FoundSchema | Exception] = SimpleQueue()

        def ask() -> None:
            try:
                answers.put(self._find(self.registry, schema_id, self._login))
            except Exception as error:  # it is raised where somebody waits for it
                answers.put(error)

        threading.Thread(target=ask, name="registry", daemon=True).start()
        try:
            answer = answers.get(timeout=limit_s)
        except Empty:
            raise RegistryError(f"{self.registry} has not answered within {limit_s:.0f} s.") from None
        if isinstance(answer, Exception):
            raise answer
        return answer


def foreign_ids(records: Iterable[PipelineRecord], known_login: str) -> ForeignIds | None:
    """Those of a pipeline with these records, as its newest number says; None where it names no registry."""
    newest = max(records, key=lambda record: record.number, default=None)
    if newest is None:
        return None
    try:
        registry, reader = PipelineSpec.parse(newest.spec).registry, json.loads(newest.event_schema)
    except (ContractError, ValueError):  # a newer Freshet wrote it
        return None
    return ForeignIds(registry, reader, known_login) if registry else None
