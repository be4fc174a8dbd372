"""The address that requests go to."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from freshet.contracts.addresses import is_loopback
from freshet.contracts.errors import FreshetError

_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class HookTarget:
    """Parts of the address. The path may hold a secret, so only the host is ever told."""

    tls: bool
    host: str
    port: int
    path: str


def target_of(url: str, insecure: bool) -> HookTarget:
    """Its parts. Raises FreshetError, which does not repeat it. `insecure` allows http to other machines."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise FreshetError("FRESHET_WEBHOOK_URL is no address: its host or its port cannot be read.") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise FreshetError("FRESHET_WEBHOOK_URL must be an address such as https://example.org/hooks/freshet.")
    if parts.username is not None or parts.password is not None:
        raise FreshetError(
            "FRESHET_WEBHOOK_URL must hold no user and password: the receiver knows the bridge by its signature."
        )
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    if not path.isascii() or not path.isprintable() or " " in path:
        raise FreshetError("FRESHET_WEBHOOK_URL must be ASCII without spaces: write other characters as %XX.")
    tls = parts.scheme == "https"
    if not tls and not insecure and not is_loopback(parts.hostname):
        raise FreshetError(
            f"FRESHET_WEBHOOK_URL is http to {parts.hostname}, where everybody on the way could read it: give an https "
            "address. FRESHET_WEBHOOK_INSECURE=true allows it all the same."
        )
    return HookTarget(tls, parts.hostname, port or _PORTS[parts.scheme], path)
