"""The two pages that follow Kafka: all pipelines, and one; and the streams of their changes."""

from collections.abc import AsyncIterator
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from freshet.console.change_stream import MOST_STREAMS, changes
from freshet.console.page_parts import PartsCache, Viewer, overview_parts, pipeline_parts
from freshet.console.site_parts import SiteParts
from freshet.console.snapshot import Snapshot

_LONGEST_ID: Final = 15


class LivePages:
    """Handlers."""

    def __init__(self, site: SiteParts) -> None:
        self._site = site
        self._caches: dict[tuple[str, Viewer], PartsCache] = {}

    def routes(self) -> list[BaseRoute]:
        """What they answer."""
        return [
            Route("/", self.overview),
            Route("/stream", self.overview_stream),
            Route("/pipelines/{pipeline}", self.pipeline),
            Route("/pipelines/{pipeline}/stream", self.pipeline_stream),
        ]

    async def overview(self, request: Request) -> Response:
        """All pipelines."""
        snapshot = await self._site.first()
        parts = dict(self._cache("", request).at(snapshot))
        return self._site.page(request, "overview", "pipelines", snapshot, parts=parts, stream="/stream")

    async def overview_stream(self, request: Request) -> Response:
        """What changes on that page."""
        return self._stream(request, self._cache("", request))

    async def pipeline(self, request: Request) -> Response:
        """One pipeline."""
        snapshot, name = await self._site.known(request)
        parts, stream = dict(self._cache(name, request).at(snapshot)), f"/pipelines/{name}/stream"
        return self._site.page(request, "pipeline", name, snapshot, parts=parts, stream=stream, pipeline=name)

    async def pipeline_stream(self, request: Request) -> Response:
        """What changes on that page."""
        _, name = await self._site.known(request)
        return self._stream(request, self._cache(name, request))

    def _cache(self, pipeline: str, request: Request) -> PartsCache:
        viewer, rendering = self._site.viewer(request), self._site.rendering
        key = (pipeline, viewer)
        if key not in self._caches:
            render = pipeline_parts(rendering, pipeline) if pipeline else overview_parts(rendering)
            self._caches[key] = PartsCache(render, viewer)
        return self._caches[key]

    def _stream(self, request: Request, cache: PartsCache) -> Response:
        if self._site.streams >= MOST_STREAMS:
            raise HTTPException(503, f"{MOST_STREAMS} pages are open already. Close some, and reload.")
        last = request.headers.get("last-event-id", "")
        after = int(last) if last.isdecimal() and len(last) <= _LONGEST_ID else 0
        pipeline, viewer = str(request.path_params.get("pipeline", "")), self._site.viewer(request)

        def newest() -> Snapshot | None:
            if pipeline:
                self._site.watching.watch(pipeline)
            return self._site.watching.snapshot

        def ended() -> bool:
            """The browser connects again, and gets what it may see by now: its session may have ended."""
            return self._site.stop.is_set() or self._site.viewer(request) != viewer

        async def counted() -> AsyncIterator[bytes]:
            self._site.streams += 1
            try:
                async for part in changes(cache, newest, after, ended):
                    yield part
            finally:
                self._site.streams -= 1

        return StreamingResponse(counted(), media_type="text/event-stream")
