"""The console over HTTP: pages, their streams of changes, and what may be asked for."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from freshet.console.access import HEADERS, Access
from freshet.console.change_stream import MOST_STREAMS, changes
from freshet.console.page_parts import PartsCache, Viewer, overview_parts, pipeline_parts
from freshet.console.rendering import Rendering
from freshet.console.snapshot import Snapshot
from freshet.console.watching import Watching

_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
_FIRST_S: Final = 10.0
"""How long a page waits for the first snapshot after the start."""

Handler = Callable[[Request], Awaitable[Response]]


class Web:
    """All handlers; what they share."""

    def __init__(self, watching: Watching, access: Access, stop: threading.Event) -> None:
        self._watching, self._access, self._stop = watching, access, stop
        self._rendering = Rendering()
        self._caches: dict[tuple[str, Viewer], PartsCache] = {}
        self._streams = 0

    def app(self, hosts: str) -> ASGIApp:
        """The application; `hosts` are further names under which it may be asked."""
        allowed = [*_LOOPBACK, *(name.strip() for name in hosts.split(",") if name.strip())]
        static = Path(str(files("freshet.console") / "static"))
        return Starlette(
            routes=[
                Route("/", self.overview),
                Route("/stream", self.overview_stream),
                Route("/pipelines/{pipeline}", self.pipeline),
                Route("/pipelines/{pipeline}/stream", self.pipeline_stream),
                Route("/enter", self.enter, methods=["GET", "POST"]),
                Route("/leave", self.leave, methods=["POST"]),
                Route("/live", self.live),
                Mount("/static", StaticFiles(directory=static)),
            ],
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=allowed), Middleware(_Guarded)],
            exception_handlers={HTTPException: self.failed},  # type: ignore[dict-item]
        )

    async def overview(self, request: Request) -> Response:
        """All pipelines."""
        snapshot = await self._first()
        cache = self._cache("", self._viewer(request))
        return self._page(request, "overview", "pipelines", snapshot, dict(cache.at(snapshot)), stream="/stream")

    async def overview_stream(self, request: Request) -> Response:
        """What changes on that page."""
        return self._stream(request, self._cache("", self._viewer(request)))

    async def pipeline(self, request: Request) -> Response:
        """One pipeline."""
        snapshot, name = await self._known(request)
        cache = self._cache(name, self._viewer(request))
        stream = f"/pipelines/{name}/stream"
        return self._page(request, "pipeline", name, snapshot, dict(cache.at(snapshot)), stream=stream, pipeline=name)

    async def pipeline_stream(self, request: Request) -> Response:
        """What changes on that page."""
        _, name = await self._known(request)
        return self._stream(request, self._cache(name, self._viewer(request)))

    async def enter(self, request: Request) -> Response:
        """Enter the token."""
        wrong = False
        target = _local(request.query_params.get("next", "/"))
        if request.method == "POST":
            form = await request.form()
            target = _local(str(form.get("next", "/")))
            response = RedirectResponse(target, status_code=303)
            if self._access.enter(str(form.get("token", "")), response):
                return response
            wrong = True
        snapshot = await self._first()
        values: dict[str, Any] = {"wrong": wrong, "next": target, "possible": self._access.possible}
        return self._page(request, "enter", "act", snapshot, {}, status=403 if wrong else 200, **values)

    async def leave(self, request: Request) -> Response:
        """Stop acting."""
        form = await request.form()
        if not self._access.is_ours(request, str(form.get("csrf", ""))):
            raise HTTPException(403, "This form was not sent by a page of yours. Reload the page and try again.")
        response = RedirectResponse("/", status_code=303)
        self._access.leave(request, response)
        return response

    async def live(self, _: Request) -> Response:
        """Whether the console itself runs."""
        alive = self._watching.is_alive()
        return PlainTextResponse("yes\n" if alive else "the reading thread ended\n", status_code=200 if alive else 503)

    async def failed(self, request: Request, error: HTTPException) -> Response:
        """A page that says what was wrong with a request."""
        snapshot = self._watching.snapshot
        if snapshot is None:
            return PlainTextResponse(f"{error.detail}\n", status_code=error.status_code)
        return self._page(
            request, "failed", "not possible", snapshot, {}, status=error.status_code, detail=error.detail
        )

    async def _first(self) -> Snapshot:
        waited_s = 0.0
        while self._watching.snapshot is None and waited_s < _FIRST_S:
            await asyncio.sleep(0.1)
            waited_s += 0.1
        if self._watching.snapshot is None:
            raise HTTPException(503, "The console has just started and has read nothing yet. Try again in a moment.")
        return self._watching.snapshot

    async def _known(self, request: Request) -> tuple[Snapshot, str]:
        """The newest snapshot, and the pipeline that the address names."""
        snapshot, name = await self._first(), str(request.path_params["pipeline"])
        if name not in snapshot.screens:
            known = ", ".join(snapshot.screens) or "none yet"
            raise HTTPException(404, f"There is no pipeline {name!r} here; there are: {known}.")
        self._watching.watch(name)
        return snapshot, name

    def _viewer(self, request: Request) -> Viewer:
        return Viewer(self._access.may_act(request), self._access.possible)

    def _cache(self, pipeline: str, viewer: Viewer) -> PartsCache:
        key = (pipeline, viewer)
        if key not in self._caches:
            render = pipeline_parts(self._rendering, pipeline) if pipeline else overview_parts(self._rendering)
            self._caches[key] = PartsCache(render, viewer)
        return self._caches[key]

    def _page(
        self,
        request: Request,
        template: str,
        title: str,
        snapshot: Snapshot,
        parts: dict[str, str],
        *,
        status: int = 200,
        stream: str = "",
        pipeline: str = "",
        **values: Any,
    ) -> Response:
        viewer = self._viewer(request)
        common = {
            "title": title,
            "stream": stream,
            "pipeline": pipeline,
            "namespace": snapshot.overview.namespace,
            "acts": viewer.acts,
            "may_enter": viewer.may_enter,
            "csrf": self._access.csrf(request),
        }
        html = self._rendering.page(template, snapshot.now_ms, parts, **(common | values))
        return HTMLResponse(html, status_code=status)

    def _stream(self, request: Request, cache: PartsCache) -> Response:
        if self._streams >= MOST_STREAMS:
            raise HTTPException(503, f"{MOST_STREAMS} pages are open already. Close some, and reload.")
        last = request.headers.get("last-event-id", request.query_params.get("after", ""))
        after = int(last) if last.isdecimal() and len(last) < 16 else 0
        pipeline = str(request.path_params.get("pipeline", ""))

        def newest() -> Snapshot | None:
            if pipeline:
                self._watching.watch(pipeline)
            return self._watching.snapshot

        async def counted() -> Any:
            self._streams += 1
            try:
                async for part in changes(cache, newest, after, self._stop.is_set):
                    yield part
            finally:
                self._streams -= 1

        return StreamingResponse(counted(), media_type="text/event-stream")


class _Guarded:
    """Adds the headers that keep a page to itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message["headers"]}
                more = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message["headers"], *(one for one in more if one[0] not in present)]
            await send(message)

        await self._app(scope, receive, guarded)


def _local(target: str) -> str:
    """An address of this console; another one leads to its first page."""
    with suppress(ValueError):
        if target.startswith("/") and not target.startswith("//") and "\\" not in target:
            return target
    return "/"
