"""Every request that AKHQ and Kafka UI make of a schema registry, over HTTP: which is answered, and which is refused.

Read in their sources: Kafka UI (kafbat) has an OpenAPI file of its client, `kafka-sr-api.yaml`, and Confluent's Java
client for records; AKHQ has that client alone (`SchemaRegistryRepository.java` over Confluent's `RestService`). What
follows a `?` is what that client sends; it runs itself in `tests/clients/test_java_registry.py`. Neither console was
run.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from freshet.avro.schema_records import SchemaRecord
from freshet.operate.schema_server import SchemaServer

EVENT: Final[dict[str, Any]] = {"type": "record", "name": "E", "fields": [{"name": "n", "type": "int"}]}
NEWER: Final = {**EVENT, "fields": [*EVENT["fields"], {"name": "m", "type": "int", "default": 0}]}
RECORDS: Final = [SchemaRecord.of("s-value", 1, 1 << 30, EVENT), SchemaRecord.of("s-value", 2, (1 << 30) + 1, NEWER)]
NEWEST: Final = (1 << 30) + 1
LATEST: Final = {"subject": "s-value", "version": 2, "id": NEWEST, "schemaType": "AVRO", "schema": RECORDS[1].schema}
BODY: Final = {"schema": json.dumps(NEWER), "schemaType": "AVRO", "references": []}
OTHER: Final = {"schema": json.dumps("string"), "schemaType": "AVRO"}
LEVEL: Final = {"compatibilityLevel": "FULL_TRANSITIVE"}
FITS: Final = {"is_compatible": True, "messages": []}
READ_ONLY: Final = 42205

Line = tuple[str, str, str, Any, Any]
"""Who asks, method, path, body, and the answer: a document with status 200, or the code of an error."""

REQUESTS: Final[list[Line]] = [
    # the list of subjects, and each one's page
    ("AKHQ", "GET", "/subjects", None, ["s-value"]),
    ("Kafka UI", "GET", "/subjects?deleted=false", None, ["s-value"]),
    ("AKHQ", "GET", "/subjects/s-value/versions?deleted=false&deletedOnly=false", None, [1, 2]),
    ("Kafka UI", "GET", "/subjects/s-value/versions", None, [1, 2]),
    ("AKHQ", "GET", "/subjects/s-value/versions/latest", None, LATEST),
    ("Kafka UI", "GET", "/subjects/s-value/versions/latest?deleted=false", None, LATEST),
    ("both", "GET", "/subjects/s-value/versions/2?deleted=false", None, LATEST),
    ("both", "GET", "/subjects/gone-value/versions/latest", None, 40401),
    ("both", "GET", "/config", None, LEVEL),
    ("AKHQ", "GET", "/config/s-value?defaultToGlobal=false", None, LEVEL),
    ("Kafka UI", "GET", "/config/s-value?defaultToGlobal=true", None, LEVEL),
    # a record's value
    ("both", "GET", f"/schemas/ids/{NEWEST}?fetchMaxId=false&subject=", None, {"schema": RECORDS[1].schema}),
    ("both", "GET", f"/schemas/ids/{NEWEST}?fetchMaxId=false&subject=s-value", None, {"schema": RECORDS[1].schema}),
    ("both", "GET", "/schemas/ids/7?fetchMaxId=false&subject=s-value", None, 40403),
    # checks before somebody writes
    ("AKHQ", "POST", "/subjects/s-value?normalize=false&deleted=true", BODY, LATEST),
    ("AKHQ", "POST", "/subjects/s-value?normalize=false&deleted=false", OTHER, 40403),
    ("AKHQ", "POST", "/compatibility/subjects/s-value/versions/2?normalize=false&verbose=false", BODY, FITS),
    ("Kafka UI", "POST", "/compatibility/subjects/s-value/versions/latest?verbose=true", BODY, FITS),
    # what writes
    ("AKHQ", "POST", "/subjects/s-value/versions?normalize=false", BODY, LATEST),
    ("AKHQ", "POST", "/subjects/s-value/versions?normalize=false", OTHER, READ_ONLY),
    ("Kafka UI", "POST", "/subjects/new-value/versions", BODY, READ_ONLY),
    ("AKHQ", "DELETE", "/subjects/s-value", None, READ_ONLY),
    ("Kafka UI", "DELETE", "/subjects/s-value?permanent=false", None, READ_ONLY),
    ("both", "DELETE", "/subjects/s-value/versions/2?permanent=false", None, READ_ONLY),
    ("Kafka UI", "PUT", "/config", {"compatibility": "NONE"}, READ_ONLY),
    ("both", "PUT", "/config/s-value", {"compatibility": "NONE"}, READ_ONLY),
    ("Kafka UI", "DELETE", "/config/s-value", None, READ_ONLY),
]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The facade."""
    table = {(record.subject, record.version): record for record in RECORDS}
    with closing(SchemaServer("127.0.0.1", 0, lambda: table)) as server:
        threading.Thread(target=server.serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.port}"


@pytest.mark.parametrize("line", REQUESTS, ids=lambda line: f"{line[0]}-{line[1]}-{line[2]}")
def test_a_console_gets_what_it_asks_for(url: str, line: Line) -> None:
    """A document, or an error with the code that it knows how to show."""
    _, method, path, body, wanted = line
    headers = {"Accept": "application/json", "Content-Type": "application/vnd.schemaregistry.v1+json"}
    data = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(url + path, data, headers, method=method), timeout=20) as answer:
            found = json.load(answer)
    except HTTPError as error:
        with error:
            found = json.load(error)["error_code"]
    assert found == wanted
