"""Under which names a service at the edge may be asked for over HTTP."""

from typing import Final

from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from freshet.contracts.addresses import allowed_names

OF_PROBES: Final = ("/live", "/ready", "/metrics")
"""Whoever asks there, a probe or a scraper, knows the process by its address alone, and needs no token."""


class AskedNames:
    """Middleware: refuses what is asked under a name that is not ours, so that no other site reaches us by its own."""

    def __init__(self, app: ASGIApp, hosts: str) -> None:
        """`hosts` are names beside those of loopback, parted by commas."""
        self._app = app
        self._guarded = TrustedHostMiddleware(app, allowed_hosts=allowed_names(hosts))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        for_probes = scope["type"] == "http" and scope["path"] in OF_PROBES
        await (self._app if for_probes else self._guarded)(scope, receive, send)
