"""The console over HTTP, put together: routes, and the headers that keep its pages to itself."""

from importlib.resources import files
from pathlib import Path
from typing import Final
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from freshet.console.access import HEADERS, Access, is_taken_by_others
from freshet.console.acting_pages import ActingPages
from freshet.console.live_pages import LivePages
from freshet.console.probe_pages import ProbePages
from freshet.console.record_pages import RecordPages
from freshet.console.site_parts import SiteParts
from freshet.runtime.asked_names import OF_PROBES, AskedNames

_OPEN: Final = ("/enter", *OF_PROBES)
"""What everybody may ask for, beside the files under `/static/`."""


def application(site: SiteParts, hosts: str) -> ASGIApp:
    """The application; `hosts` are further names under which browsers may ask for it, parted by commas."""
    static = StaticFiles(directory=Path(str(files("freshet.console") / "static")))
    return Starlette(
        routes=[
            *ProbePages(site).routes(),
            *LivePages(site).routes(),
            *ActingPages(site).routes(),
            *RecordPages(site).routes(),
            Mount("/static", static),
        ],
        middleware=[
            Middleware(AskedNames, hosts=hosts),
            Middleware(_Guarded),
            Middleware(_Entered, access=site.access),
        ],
        exception_handlers={HTTPException: site.failed},  # type: ignore[dict-item]
    )


class _Guarded:
    """Adds the headers to every answer, and gives pages of other sites none."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                more = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message["headers"], *more]
            await send(message)

        if scope["type"] == "http" and scope["path"] not in OF_PROBES and is_taken_by_others(Headers(scope=scope)):
            await PlainTextResponse("Pages of other sites may not load this.\n", 403)(scope, receive, guarded)
            return
        await self._app(scope, receive, guarded)


class _Entered:
    """Leads whoever may not look to the page where the token is entered, and then back."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _is_open(scope["path"]):
            request = Request(scope)
            if not self._access.may_look(request):
                await _enter_first(request)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _is_open(path: str) -> bool:
    return path in _OPEN or path.startswith("/static/")


def _enter_first(request: Request) -> Response:
    if request.method not in ("GET", "HEAD"):
        return PlainTextResponse("Enter the token first, at /enter.\n", status_code=403)
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/enter?next={quote(wanted, safe='')}", status_code=303)
