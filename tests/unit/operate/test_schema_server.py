"""The schemas topic as a schema registry that is only read."""

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from freshet.avro.schema_records import SchemaRecord
from freshet.operate.schema_server import Answer, SchemaServer, answer

TIME = {"type": "long", "logicalType": "timestamp-millis"}
EVENT: dict[str, Any] = {"type": "record", "name": "E", "fields": [{"name": "at", "type": TIME}]}
NEWER = {**EVENT, "fields": [*EVENT["fields"], {"name": "n", "type": "int", "default": 0}]}
SUBJECT = "dev.a.events-value"
RECORDS = [
    SchemaRecord.of(SUBJECT, 1, 1_073_741_900, EVENT),
    SchemaRecord.of(SUBJECT, 2, 1_073_741_800, NEWER),
    SchemaRecord.of("x-value", 1, 7, {"type": "record", "name": "X", "fields": []}),
]
TABLE = {(record.subject, record.version): record for record in RECORDS}
PATH = "/subjects/dev.a.events-value"


def ask(method: str, path: str, schema: Any = None) -> Answer:
    """One request."""
    return answer(method, path, json.dumps({"schema": json.dumps(schema)}).encode(), TABLE)


def test_schemas_are_found_by_id_subject_and_version() -> None:
    """As Confluent's registry has it."""
    assert ask("GET", "/schemas/ids/7") == (200, {"schema": RECORDS[2].schema})
    assert ask("GET", "/subjects") == (200, [SUBJECT, "x-value"])
    assert ask("GET", f"{PATH}/versions") == (200, [1, 2])
    for version, record in (("1", RECORDS[0]), ("2", RECORDS[1]), ("latest", RECORDS[1]), ("-1", RECORDS[1])):
        status, document = ask("GET", f"{PATH}/versions/{version}")
        assert (status, document["id"], document["version"]) == (200, record.id, record.version)


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/schemas/ids/8", 40403),
        ("GET", "/schemas/ids/x", 40403),
        ("GET", "/subjects/y/versions", 40401),
        ("GET", f"{PATH}/versions/3", 40402),
        ("GET", f"{PATH}/versions/²", 40402),
        ("GET", f"{PATH}/versions/{'1' * 4301}", 40402),
        ("GET", "/nothing", 404),
        ("DELETE", "/subjects/x-value", 42205),
        ("PUT", "/config", 42205),
    ],
)
def test_what_is_not_there_and_what_writes_is_refused_as_clients_expect(method: str, path: str, code: int) -> None:
    """With the error codes of Confluent's registry."""
    status, document = ask(method, path)
    assert status in (404, 422)
    assert document["error_code"] == code


def test_registering_what_was_applied_gives_its_id() -> None:
    """However it is documented and ordered; a serializer with automatic registration needs no setting."""
    fields = [{"type": TIME, "doc": "When.", "name": "at"}]
    for path in (PATH, f"{PATH}/versions"):
        status, document = ask("POST", path, {"name": "E", "doc": "An event.", "type": "record", "fields": fields})
        assert (status, document["id"]) == (200, RECORDS[0].id)


def test_any_other_schema_is_refused() -> None:
    """Also one that has the same bytes and another meaning: a time in microseconds."""
    micros = {**EVENT, "fields": [{"name": "at", "type": {**TIME, "logicalType": "timestamp-micros"}}]}
    for other in (micros, {**EVENT, "name": "F"}):
        status, document = ask("POST", f"{PATH}/versions", other)
        assert (status, document["error_code"]) == (422, 42205)
        assert "freshet apply" in document["message"]
        assert ask("POST", PATH, other)[1]["error_code"] == 40403
    assert ask("POST", "/subjects/y", EVENT)[1]["error_code"] == 40401
    assert ask("POST", PATH, "no schema")[1]["error_code"] == 42201
    assert answer("POST", PATH, b"\x00", TABLE)[1]["error_code"] == 42201


@pytest.fixture
def port() -> Iterator[int]:
    """Of a server of these schemas."""
    server = SchemaServer("127.0.0.1", 0, lambda: TABLE)
    serving = threading.Thread(target=server.serve)
    serving.start()
    yield server.port
    server.close()
    serving.join()


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ("Content-Length: -1", 400),
        ("Content-Length: 0x10", 400),
        ("Content-Length: 2, 2", 400),
        ("Content-Length: 1_0", 400),
        ("Content-Length: " + "9" * 30, 400),
        ("Content-Length: 1048577", 413),
        ("Transfer-Encoding: chunked", 411),
        ("X: y", 422),
    ],
)
def test_a_body_is_read_as_far_as_its_length_says_and_no_further(port: int, told: str, status: int) -> None:
    """A negative length would be read without an end, into memory; one that is no number left a traceback."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as asking:
        asking.sendall(f"POST {PATH} HTTP/1.1\r\nHost: a\r\n{told}\r\n\r\n".encode())
        assert asking.recv(1000).startswith(b"HTTP/1.0 %d " % status)


def test_a_body_that_does_not_come_is_told_so(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a traceback in the log."""
    monkeypatch.setattr("freshet.runtime.http._QuietHandler.timeout", 0.3)
    with socket.create_connection(("127.0.0.1", port), timeout=5) as asking:
        asking.sendall(f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{{".encode())
        assert asking.recv(1000).startswith(b"HTTP/1.0 408 ")
