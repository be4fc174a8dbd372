"""The console over HTTP, put together: routes, and the headers that keep its pages to itself."""

from importlib.resources import files
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from freshet.console.access import HEADERS
from freshet.console.acting_pages import ActingPages
from freshet.console.live_pages import LivePages
from freshet.console.record_pages import RecordPages
from freshet.console.site_parts import SiteParts

_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")


def application(site: SiteParts, hosts: str) -> ASGIApp:
    """The application; `hosts` are further names under which browsers may ask for it, parted by commas."""
    allowed = [*_LOOPBACK, *(name.strip() for name in hosts.split(",") if name.strip())]
    static = StaticFiles(directory=Path(str(files("freshet.console") / "static")))
    return Starlette(
        routes=[
            *LivePages(site).routes(),
            *ActingPages(site).routes(),
            *RecordPages(site).routes(),
            Mount("/static", static),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=allowed), Middleware(_Guarded)],
        exception_handlers={HTTPException: site.failed},  # type: ignore[dict-item]
    )


class _Guarded:
    """Adds the headers to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                more = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message["headers"], *more]
            await send(message)

        await self._app(scope, receive, guarded)
