"""Who may ask: the token, and no page of another site that a browser on this machine shows."""

import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from freshet.runtime.asked_names import OF_PROBES


class Guard:
    """Middleware. Without a token everybody who reaches the address may ask."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        refusal = None if scope["type"] == "lifespan" else self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})  # before it is accepted: HTTP 403
        else:
            await refusal(scope, receive, send)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is not None and _host(origin) != headers.get("host", ""):
            why = "Pages of other sites may not ask: leave the header Origin out."
            return JSONResponse({"error": "other_origin", "why": why}, 403)
        if self._token and scope["path"] not in OF_PROBES and not self._is_given(headers.get("authorization", "")):
            why = "Send the header Authorization: Bearer TOKEN, with the token that the gateway was started with."
            return JSONResponse({"error": "no_token", "why": why}, 401, {"WWW-Authenticate": "Bearer"})
        return None

    def _is_given(self, authorization: str) -> bool:
        """Compares bytes as they came: headers were read as Latin-1, and a token may hold other letters."""
        scheme, _, token = authorization.partition(" ")
        same = hmac.compare_digest(token.strip().encode("latin-1"), self._token)
        return same and scheme.lower() == "bearer"


def _host(origin: str) -> str | None:
    """Host and port of an origin; None if it is none."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None
