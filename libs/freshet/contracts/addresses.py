"""Addresses and names under which only this machine can be reached."""

from ipaddress import ip_address
from typing import Final

LOOPBACK_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")
"""As they stand in a request's `Host`."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def allowed_names(further: str) -> list[str]:
    """The names under which a service may be asked for: those of loopback and `further` ones, parted by commas."""
    return [*LOOPBACK_NAMES, *(name.strip() for name in further.split(",") if name.strip())]
