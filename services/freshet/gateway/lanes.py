"""The pipelines there are, as published now, and a lane for each that somebody asks for."""

import asyncio
import json
import threading
from collections.abc import Mapping
from typing import Final

import structlog

from freshet.avro.event_fields import EventField, event_fields
from freshet.client.event_records import RecordMaker
from freshet.contracts.errors import ContractError, FreshetError
from freshet.contracts.messages import PipelineRecord
from freshet.contracts.topic_table import TopicNames
from freshet.gateway.core.refused import RefusedRequestError, kafka_away
from freshet.gateway.lane import Lane
from freshet.pipeline import PipelineSpec
from freshet.runtime.bus.protocol import Bus, Span
from freshet.runtime.publishing import newest, readable_pipeline_records

_LOOK_EVERY_S: Final = 1.0


class Published(threading.Thread):
    """Follows what is published. `trouble` says why nothing is known of Kafka now; empty while it answers."""

    def __init__(self, bus: Bus, stop: threading.Event) -> None:
        super().__init__(name="published", daemon=True)
        self.trouble = "the gateway has just started, and has not read yet which pipelines there are."
        self.records: dict[str, PipelineRecord] = {}
        self._bus, self._ending = bus, stop  # not _stop: Thread has one
        self._spans: dict[int, Span] = {}

    def run(self) -> None:
        """Look once a second; read only when something was written."""
        log, told = structlog.get_logger("gateway"), False
        while not self._ending.is_set():
            try:
                spans = self._bus.spans("pipelines")
                if spans != self._spans:
                    self.records, self._spans = newest(readable_pipeline_records(self._bus)), spans
                self.trouble, told = "", False
            except Exception as error:  # the thread goes on, whatever it was: without it no new pipeline would be seen
                foreseen = isinstance(error, FreshetError)
                if not told:
                    log.warning("no_answer", error=str(error), exc_info=not foreseen)
                    told = True
                self.trouble = str(error) if foreseen else f"what is published cannot be read: {error!r:.200}."
            self._ending.wait(_LOOK_EVERY_S)


class Lanes:
    """Called where requests are answered. A lane is made anew when its pipeline's record is another one, or it died."""

    def __init__(self, bus: Bus, namespace: str, published: Published) -> None:
        self._bus, self._namespace, self.published = bus, namespace, published
        self._lanes: dict[str, tuple[PipelineRecord, Lane]] = {}
        self._making = asyncio.Lock()

    async def of(self, pipeline: str) -> Lane:
        """Raises RefusedRequestError: 404 for one that is not published, 503 if Kafka is away."""
        known = self._known(pipeline)
        if known is not None:
            return known
        async with self._making:
            known = self._known(pipeline)
            if known is not None:
                return known
            record, names = self._record(pipeline), TopicNames(self._namespace, pipeline)
            try:
                maker = RecordMaker(record)
            except ContractError as error:
                raise RefusedRequestError(409, "own_decoder", str(error)) from error
            try:
                made = await asyncio.to_thread(
                    Lane, self._bus.of_pipeline(pipeline), names, maker, asyncio.get_running_loop()
                )
            except FreshetError as error:
                raise kafka_away(str(error)) from error
            self._lanes[pipeline] = record, made
            return made

    def open(self) -> dict[str, Lane]:
        """All that were asked for."""
        return {name: lane for name, (_, lane) in self._lanes.items()}

    def described(self) -> dict[str, tuple[PipelineSpec, Mapping[str, EventField]]]:
        """What is published of each pipeline, as `openapi` takes it."""
        records = self.published.records.items()
        return {
            name: (PipelineSpec.parse(record.spec), event_fields(json.loads(record.event_schema)))
            for name, record in records
        }

    def end(self) -> None:
        """End all of them."""
        for _, lane in self._lanes.values():
            lane.end()

    def _known(self, pipeline: str) -> Lane | None:
        """The lane of this pipeline as it is published now."""
        record, lane = self._lanes.get(pipeline, (None, None))
        if lane is None or (record == self.published.records.get(pipeline) and lane.works()):
            return lane
        del self._lanes[pipeline]
        lane.end()
        return None

    def _record(self, pipeline: str) -> PipelineRecord:
        found = self.published.records.get(pipeline)
        if found is not None:
            return found
        if not self.published.records and self.published.trouble:
            raise kafka_away(self.published.trouble)
        known = ", ".join(sorted(self.published.records)) or "none yet"
        raise RefusedRequestError(
            404,
            "no_pipeline",
            f"There is no pipeline {pipeline!r:.100}; there are: {known}. `freshet apply` makes one.",
        )
