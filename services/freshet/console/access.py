"""Who may act: whoever has entered the token that the console was started with. Sessions live in this process only."""

import hmac
import secrets
import time
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

COOKIE: Final = "freshet_console"
_KEPT_S: Final = 12 * 3600.0
_MOST_SESSIONS: Final = 200
_SLOW_S: Final = 1.0
_MOST_GUESSERS: Final = 60
"""Addresses that sent a wrong token just now. With so many of them nobody is let in: that bounds what all can guess."""

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Sent with every page: nothing comes from elsewhere, and no other site may show it."""


class Access:
    """The token, and the sessions of those who entered it. Without a token nobody can act.

    Where it is `closed`, nobody sees anything either before entering it.
    """

    def __init__(self, token: str, *, closed: bool = False) -> None:
        self._token, self.closed = token, closed
        self._secret = secrets.token_bytes(32)
        self._sessions: dict[str, float] = {}
        self._guessers: dict[str, float] = {}
        """Until when each address that sent a wrong token has to wait."""

    @property
    def possible(self) -> bool:
        """Whether there is a token to enter."""
        return bool(self._token)

    def may_act(self, request: Request) -> bool:
        """Whether this browser has entered the token."""
        session = request.cookies.get(COOKIE, "")
        return self._sessions.get(session, 0.0) > time.monotonic()

    def may_look(self, request: Request) -> bool:
        """Whether this browser may see pages."""
        return not self.closed or self.may_act(request)

    def csrf(self, request: Request) -> str:
        """What a form of this session must send back; empty for somebody who may not act."""
        if not self.may_act(request):
            return ""
        return hmac.new(self._secret, request.cookies[COOKIE].encode(), "sha256").hexdigest()

    def is_ours(self, request: Request, sent: str) -> bool:
        """Whether a form was sent by a page of this session, and by no other site."""
        expected = self.csrf(request)
        same = hmac.compare_digest(expected.encode(), sent.encode())
        return bool(expected) and same and not from_elsewhere(request)

    def enter(self, token: str, response: Response, address: str = "") -> bool:
        """Begin a session if the token is right. After a wrong one nobody at that address can try again for a second.

        Others can: else whoever sends a wrong one each second would keep everybody from acting.
        """
        now = time.monotonic()
        self._guessers = {one: until for one, until in self._guessers.items() if until > now}
        if address in self._guessers or len(self._guessers) >= _MOST_GUESSERS:
            return False
        if not self._token or not hmac.compare_digest(token.encode(), self._token.encode()):
            self._guessers[address] = now + _SLOW_S
            return False
        self._sessions = {one: until for one, until in self._sessions.items() if until > now}
        if len(self._sessions) >= _MOST_SESSIONS:
            self._sessions.pop(next(iter(self._sessions)))
        session = secrets.token_urlsafe(32)
        self._sessions[session] = now + _KEPT_S
        response.set_cookie(COOKIE, session, httponly=True, samesite="strict", max_age=int(_KEPT_S))
        return True

    def leave(self, request: Request, response: Response) -> None:
        """End the session."""
        self._sessions.pop(request.cookies.get(COOKIE, ""), None)
        response.delete_cookie(COOKIE)


def is_taken_by_others(headers: Headers) -> bool:
    """Whether a page of another site loads this as a part of itself, as an image or a frame, and by no link to it.

    It cannot read what comes; but looking for an event costs Kafka reads, and such a page may ask again and again.
    """
    elsewhere = headers.get("sec-fetch-site", "none") not in ("same-origin", "none")
    linked = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest", "document") == "document"
    return elsewhere and not linked


def from_elsewhere(request: Request) -> bool:
    """Whether a page of another site sent the request, as the browser says.

    Over plain HTTP, but on loopback, browsers send no `Sec-Fetch-Site`: there `Origin` tells it.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is not None and origin.partition("://")[2] != request.headers.get("host", "")
