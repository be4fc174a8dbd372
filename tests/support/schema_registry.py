"""A schema registry in this process: as much of Confluent's HTTP interface as Freshet asks for, and its troubles."""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Asked(NamedTuple):
    """A request, as it came in."""

    method: str
    path: str
    login: str | None
    document: Any


class StandInRegistry:
    """Answers from `schemas`, unless `trouble` says otherwise: a status and bytes, or something that it does first."""

    def __init__(self) -> None:
        self.schemas: dict[int, Mapping[str, Any]] = {}
        self.subjects: dict[str, list[int]] = {}
        self.trouble: tuple[int, bytes] | Callable[[BaseHTTPRequestHandler], None] | None = None
        self.refuses: set[str] = set()
        """Subjects for which no new version is compatible."""
        self.asked: list[Asked] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def with_tls(self, folder: Path) -> Path:
        """Speak TLS from now on, with a certificate of its own; the file of the authority that has signed it."""
        file = folder / "registry.pem"
        file.write_bytes(_certificate())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = self.url.replace("http:", "https:")
        return file

    def register(self, identifier: int, schema: Any, **more: Any) -> Self:
        """The schema under an id."""
        self.schemas[identifier] = {"schema": json.dumps(schema), **more}
        return self

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Serve on a thread."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()

    def answer(self, method: str, path: str, document: Any) -> tuple[int, Any]:
        """Status and document."""
        match method, [part for part in path.split("/") if part]:
            case "GET", ["schemas", "ids", identifier]:
                found = self.schemas.get(int(identifier))
                return (404, {"error_code": 40403, "message": "Schema not found"}) if found is None else (200, found)
            case "POST", ["subjects", subject]:
                ids = self.subjects.get(subject, [])
                known = [of for of in ids if self.schemas[of]["schema"] == document["schema"]]
                if known:
                    return 200, {"subject": subject, "id": known[0], "version": ids.index(known[0]) + 1}
                return 404, {"error_code": 40403 if ids else 40401, "message": "not found"}
            case "POST", ["subjects", subject, "versions"]:
                if subject in self.refuses:
                    return 409, {"error_code": 409, "message": f"{subject}: READER_FIELD_MISSING_DEFAULT_VALUE"}
                same = [of for of, known in self.schemas.items() if known["schema"] == document["schema"]]
                given = same[0] if same else max(self.schemas, default=0) + 1
                self.schemas[given] = {"schema": document["schema"]}
                self.subjects.setdefault(subject, []).append(given)
                return 200, {"id": given}
        return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                document = json.loads(self.rfile.read(length)) if length else None
                registry.asked.append(Asked(self.command, self.path, self.headers.get("Authorization"), document))
                if callable(registry.trouble):
                    registry.trouble(self)
                    return
                if registry.trouble is None:
                    status, said = registry.answer(self.command, self.path, document)
                    body = json.dumps(said).encode()
                else:
                    status, body = registry.trouble
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "http://127.0.0.1:9/schemas/ids/1")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parent's name
                """Tests tell what they saw."""

        return Handler


def _certificate() -> bytes:
    """A key and its certificate for this machine, signed by itself, as PEM."""
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "registry")]),
    )
    now, day = datetime.now(UTC), timedelta(days=1)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(pem, *plain) + made.public_bytes(pem)


def byte_by_byte(handler: BaseHTTPRequestHandler) -> None:
    """An answer that never ends, though something comes all the time."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    try:
        while True:
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.05)
    except OSError:
        return
