"""Where a user's schema registry is: its address taken apart, and refused where it could lead elsewhere."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from freshet.contracts.errors import ContractError

_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class RegistryAddress:
    """The parts of an address. `path` is what stands before `/schemas/ids/…`, without a slash at its end."""

    tls: bool
    host: str
    port: int
    path: str

    def __str__(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}{self.path}"

    def same_server(self, other: "RegistryAddress") -> bool:
        """Whether both name one scheme, host and port: a login for one may then be given to the other."""
        return (self.tls, self.host, self.port) == (other.tls, other.host, other.port)


def registry_address(url: str) -> RegistryAddress:
    """The parts of an address that anybody may read. Raises ContractError, with what to write instead."""
    address, login = address_and_login(url)
    if login:
        raise ContractError(
            "a registry's address may hold no user and password here, where everybody can read them: set "
            "FRESHET_SCHEMA_REGISTRY=https://user:password@host in the environment of what asks it."
        )
    return address


def address_and_login(url: str) -> tuple[RegistryAddress, str]:
    """The parts of an address, and `user:password` if it has them. Raises ContractError, which does not repeat it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ContractError("this is no address of a registry: its host or its port cannot be read.") from None
    if parts.scheme not in _PORTS or not parts.hostname or not url.isascii() or not url.isprintable() or " " in url:
        raise ContractError("a registry's address is such as https://registry.example.org or http://host:8081/path.")
    if parts.query or parts.fragment:
        raise ContractError("a registry's address has no `?` and no `#`: requests put a path after it.")
    login = "" if parts.username is None else f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    default = _PORTS[parts.scheme]
    return RegistryAddress(parts.scheme == "https", parts.hostname, port or default, parts.path.rstrip("/")), login
