"""Asks a schema registry with Confluent's HTTP interface: one host, one request at a time, bounded in time and size."""

import base64
import http.client
import json
import socket
import ssl
import threading
from contextlib import suppress
from functools import cache
from typing import Any, Final, NamedTuple

from freshet.contracts.errors import FreshetError
from freshet.contracts.registry_address import RegistryAddress, address_and_login

SILENCE_S: Final = 5.0
"""How long a registry may be silent."""
REQUEST_S: Final = 10.0
"""How long a request may take as a whole, also where the registry sends byte after byte."""
ANSWER_BYTES: Final = 1 << 20
"""The longest answer: far more than any schema of an event."""
_TYPE: Final = "application/vnd.schemaregistry.v1+json"
_STATUSES: Final = range(200, 500)


class RegistryError(FreshetError):
    """The registry gave no answer that can be used: it is away, refuses us, or is no registry. Try again later."""


class RegistryAnswer(NamedTuple):
    """HTTP status, 2xx or 4xx, and the JSON document."""

    status: int
    document: Any

    @property
    def error_code(self) -> int:
        """The registry's own code, such as 40403; 0 where it gives none."""
        code = self.document.get("error_code", 0) if isinstance(self.document, dict) else 0
        return code if isinstance(code, int) else 0

    @property
    def message(self) -> str:
        """What the registry says about an error."""
        text = self.document.get("message", "") if isinstance(self.document, dict) else ""
        return str(text)


class RegistryClient:
    """Requests to one registry. Redirects are not followed: they could lead to a host that nobody configured."""

    def __init__(self, address: RegistryAddress, login: str = "") -> None:
        """`login` is `user:password`, sent with each request; empty for none."""
        self._address = address
        self._headers = {"Accept": f"{_TYPE}, application/json", "Content-Type": _TYPE, "Connection": "close"}
        if login:
            self._headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"

    def ask(self, method: str, path: str, document: Any = None) -> RegistryAnswer:
        """What it answers; `path` begins with a slash. Raises RegistryError, which names the host and what happened."""
        body = None if document is None else json.dumps(document)
        connection = _connection(self._address)
        end = threading.Timer(REQUEST_S, _leave, [connection])
        end.daemon = True
        end.start()
        try:
            connection.request(method, self._address.path + path, body, self._headers)
            response = connection.getresponse()
            text = response.read(ANSWER_BYTES + 1)
        except OSError as error:
            raise self._error(f"does not answer: {str(error) or type(error).__name__}") from error
        except (http.client.HTTPException, ValueError) as error:
            raise self._error(f"gives no answer of HTTP: {type(error).__name__}") from error
        finally:
            end.cancel()
            connection.close()
        return self._understood(response.status, text)

    def _understood(self, status: int, text: bytes) -> RegistryAnswer:
        if len(text) > ANSWER_BYTES:
            raise self._error(f"answers with more than {ANSWER_BYTES} bytes")
        if status in (401, 403):
            raise self._error(
                f"refuses us (HTTP {status}): set FRESHET_SCHEMA_REGISTRY=https://user:password@host, of this scheme, "
                "host and port, where this process runs"
            )
        if status not in _STATUSES or 300 <= status < 400:
            raise self._error(f"answers HTTP {status}" + (", and redirects are not followed" if status < 400 else ""))
        try:
            return RegistryAnswer(status, json.loads(text))
        except (ValueError, RecursionError):
            raise self._error(f"answers HTTP {status} and something that is not JSON: is its path right?") from None

    def _error(self, what: str) -> RegistryError:
        return RegistryError(f"the schema registry at {self._address} {what}.")


def login_for(address: RegistryAddress, known: str) -> str:
    """The login in the address `known`, if it is one of the same server; a login is shown to no other.

    Raises ContractError if `known` is no address.
    """
    if not known:
        return ""
    of, login = address_and_login(known)
    return login if of.same_server(address) else ""


def _connection(address: RegistryAddress) -> http.client.HTTPConnection:
    if address.tls:
        return http.client.HTTPSConnection(address.host, address.port, timeout=SILENCE_S, context=_authorities())
    return http.client.HTTPConnection(address.host, address.port, timeout=SILENCE_S)


def _leave(connection: http.client.HTTPConnection) -> None:
    """End a request whose time is over: whoever reads from the socket gets an error."""
    open_socket = connection.sock
    if open_socket is not None:
        with suppress(OSError):
            open_socket.shutdown(socket.SHUT_RDWR)


@cache
def _authorities() -> ssl.SSLContext:
    """Those that the system trusts, or `SSL_CERT_FILE`; read once, since that takes longer than a request."""
    return ssl.create_default_context()
