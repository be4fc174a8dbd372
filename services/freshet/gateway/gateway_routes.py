"""The gateway over HTTP: handlers, each a few steps around the pure core."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from freshet.client.client_errors import RowError
from freshet.client.event_records import Records
from freshet.contracts.errors import FreshetError
from freshet.gateway.answer_waits import AnswerWaits
from freshet.gateway.core.limits import RETRY_AFTER_S, TAILS, Room, body_room, too_large
from freshet.gateway.core.openapi import openapi
from freshet.gateway.core.posted import Posted, check_sizes, posted, wait_s
from freshet.gateway.core.refused import RefusedRequestError, bad_row, kafka_away
from freshet.gateway.core.waiters import Position, Waiter
from freshet.gateway.lane import Lane
from freshet.gateway.lanes import Lanes
from freshet.gateway.record_making import now_ms
from freshet.gateway.sending import NothingWrittenError
from freshet.gateway.tail_socket import Tail
from freshet.runtime.edge_body import BODY_S, LongBodyError, whole_body
from freshet.runtime.metrics.of_gateway import REQUEST_SECONDS, REQUESTS, REQUESTS_IN_FLIGHT, TAIL_DROPPED
from freshet.runtime.metrics.of_services import BYTES_PRODUCED, RECORDS_PRODUCED
from freshet.runtime.telemetry import Metrics

NAME: Final = "gateway"
_TRY_LATER: Final = 1013
"""WebSocket's code for a server that is busy."""
_ANSWERED: Final = 200
_ACCEPTED: Final = 202

Handle = Callable[[Lane, bytes, Request], Awaitable[Response]]


class GatewayRoutes:
    """All requests share the room and the lanes."""

    def __init__(self, lanes: Lanes, metrics: Metrics, room: Room) -> None:
        self._lanes, self._metrics, self._room = lanes, metrics, room
        self._waits = AnswerWaits()

    def wait_no_more(self) -> None:
        """The gateway ends: whoever waits for what becomes of events gets where they lie, now. Of any thread."""
        self._waits.end()

    def routes(self) -> list[BaseRoute]:
        """What they answer."""
        return [
            Route("/pipelines/{pipeline}/events", self.events, methods=["POST"]),
            Route("/pipelines/{pipeline}/labels", self.labels, methods=["POST"]),
            WebSocketRoute("/pipelines/{pipeline}/predictions/tail", self.tail),
            Route("/openapi.json", self.described),
            Route("/live", self.live),
            Route("/ready", self.ready),
            Route("/metrics", self.measured),
        ]

    async def events(self, request: Request) -> Response:
        """Events in; with `?wait`, what became of them out."""
        return await self._guarded(request, "events", self._take_events)

    async def labels(self, request: Request) -> Response:
        """The truth about events in."""
        return await self._guarded(request, "labels", self._take_labels)

    async def tail(self, socket: WebSocket) -> None:
        """Predictions as they come."""
        try:
            lane = await self._lanes.of(str(socket.path_params["pipeline"]))
        except RefusedRequestError as refused:
            await socket.send_denial_response(JSONResponse(refused.body, refused.status))
            return
        await socket.accept()
        if sum(len(one.tails) for one in self._lanes.open().values()) >= TAILS:
            await socket.close(_TRY_LATER, f"{TAILS} tails are open, which is as many as the gateway serves.")
            return
        dropped = self._metrics[TAIL_DROPPED].labels(NAME, lane.maker.spec.pipeline)
        tail = Tail(dropped.inc)
        lane.tails.add(tail)
        if lane.sending.ended:  # while the reader was let in
            tail.end()
        try:
            await tail.serve(socket)
        finally:
            lane.tails.discard(tail)

    async def described(self, request: Request) -> Response:  # noqa: ARG002 - all handlers are called alike
        """The OpenAPI document of the pipelines that are published now."""
        return JSONResponse(openapi(self._lanes.described()))

    async def live(self, request: Request) -> Response:  # noqa: ARG002
        """It answers, so it lives."""
        return PlainTextResponse("yes\n")

    async def ready(self, request: Request) -> Response:  # noqa: ARG002
        """Whether Kafka answered when it was last asked."""
        trouble = self._lanes.published.trouble
        return PlainTextResponse(f"{trouble or 'yes'}\n", 503 if trouble else 200)

    async def measured(self, request: Request) -> Response:  # noqa: ARG002
        """For Prometheus."""
        self._metrics[REQUESTS_IN_FLIGHT].labels(NAME, "").set(self._room.requests)
        return Response(generate_latest(self._metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def _guarded(self, request: Request, route: str, handle: Handle) -> Response:
        """Admit the request, read its body and answer it; every refusal becomes JSON."""
        began_s, pipeline = time.monotonic(), ""
        try:
            named = ("content-length", "content-type", "transfer-encoding")
            room = body_room(*(request.headers.get(name, "") for name in named))
            self._room.enter(room)
            try:
                lane = await self._lanes.of(str(request.path_params["pipeline"]))
                pipeline = lane.maker.spec.pipeline
                response = await handle(lane, await _body(request, room), request)
            finally:
                self._room.leave(room)
        except RowError as error:
            response = _refusal(bad_row(error))
        except RefusedRequestError as refused:
            response = _refusal(refused)
        self._metrics[REQUESTS].labels(NAME, pipeline, route, str(response.status_code)).inc()
        self._metrics[REQUEST_SECONDS].labels(NAME, pipeline, route).observe(time.monotonic() - began_s)
        return response

    async def _take_events(self, lane: Lane, body: bytes, request: Request) -> Response:
        patience_s, found = wait_s(request.query_params.get("wait")), posted(body)
        records = await lane.making.events(found.rows)
        check_sizes(records.keys, records.values)
        if not patience_s or self._waits.ended:
            return _positions(lane, records, found, await self._written(lane, records), [])
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiters: list[Waiter] = []

        def told() -> None:
            if not answered.done() and all(waiter.answer is not None for waiter in waiters):
                answered.set_result(None)

        waiters += [lane.waiters.expect(event_id, told) for event_id in records.ids]
        try:
            places = await self._written(lane, records)
            for waiter, position in zip(waiters, places, strict=True):
                lane.waiters.place(waiter, position)
            await self._waits.until(answered, patience_s)  # answered or not, the caller gets its position
            return _positions(lane, records, found, places, [waiter.answer for waiter in waiters])
        finally:
            for waiter in waiters:
                lane.waiters.forget(waiter)

    async def _take_labels(self, lane: Lane, body: bytes, request: Request) -> Response:  # noqa: ARG002
        found = posted(body)
        records = lane.maker.labels(found.rows, now_ms=now_ms())
        check_sizes(records.keys, records.values)
        return _positions(lane, records, found, await self._written(lane, records), [])

    async def _written(self, lane: Lane, records: Records) -> list[Position]:
        """Where the records lie, once Kafka has acknowledged them."""
        trouble = self._lanes.published.trouble
        if trouble:
            raise kafka_away(f"Nothing was written: {trouble}")
        if lane.sending.ended:
            raise RefusedRequestError(
                503, "published_anew", "Nothing was written: the pipeline has just been published anew. Send it again."
            )
        try:
            places = await asyncio.wrap_future(lane.sending.submit(records))
        except NothingWrittenError as error:
            raise kafka_away(f"Nothing was written: {error}") from error
        except FreshetError as error:
            raise kafka_away(
                f"Kafka has not acknowledged it, and whether it was written is not known: {error} If you send it "
                "again, keep its event id: should both lie on the topic, both are answered, under that id."
            ) from error
        scope = (NAME, lane.maker.spec.pipeline, records.role)
        self._metrics[RECORDS_PRODUCED].labels(*scope).inc(len(places))
        self._metrics[BYTES_PRODUCED].labels(*scope).inc(sum(map(len, records.values)))
        return places


async def _body(request: Request, room: int) -> bytes:
    """All of it, if it fits its room."""
    try:
        return await whole_body(request, room)
    except LongBodyError as error:
        raise too_large("The body", error.length, room) from error
    except TimeoutError as error:
        raise RefusedRequestError(408, "slow_body", f"The body did not come within {BODY_S:.0f} s.") from error


def _positions(
    lane: Lane, records: Records, found: Posted, places: Sequence[Position], answers: Sequence[Any]
) -> Response:
    """202 with where the rows lie; 200 once every one of them has its answer."""
    topic = lane.names.topic(records.role)
    rows: list[dict[str, Any]] = [
        {"id": event_id, "topic": topic, "partition": partition, "offset": offset}
        for event_id, (partition, offset) in zip(records.ids, places, strict=True)
    ]
    for row, answer in zip(rows, answers, strict=False):
        row.update(answer or {})
    status = _ANSWERED if answers and all(answer is not None for answer in answers) else _ACCEPTED
    return JSONResponse(rows if found.is_list else rows[0], status)


def _refusal(refused: RefusedRequestError) -> Response:
    later = {"Retry-After": str(RETRY_AFTER_S)} if refused.status in (429, 503) else None
    return JSONResponse(refused.body, refused.status, later)
