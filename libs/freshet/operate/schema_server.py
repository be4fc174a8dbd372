"""The schemas topic as a schema registry that is only read, for clients that know Confluent's HTTP interface."""

import json
import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIEnvironment

from fastavro.schema import parse_schema, to_parsing_canonical_form

from freshet.avro.compatibility import incompatibilities
from freshet.avro.nodes import meanings
from freshet.avro.parsing import parse
from freshet.avro.schema_records import Key, SchemaRecord
from freshet.contracts.errors import FreshetError, SchemaError
from freshet.contracts.headers import whole_number
from freshet.runtime.http import HealthPages, WebServer

Answer = tuple[int, Any]
"""HTTP status and JSON document."""

_STALE_S: Final = 2.0
_BODY_BYTES: Final = 1 << 20
_TYPE: Final = "application/vnd.schemaregistry.v1+json"
_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    408: "Request Timeout",
    411: "Length Required",
    413: "Content Too Large",
    422: "Unprocessable Entity",
}


def answer(method: str, path: str, body: bytes, table: Mapping[Key, SchemaRecord], prefix: str = "") -> Answer:
    """What the registry says to a request (its path decoded), from these schemas alone. Changes nothing.

    `prefix` is `subjectPrefix` of the query: what the names of subjects must begin with.
    """
    match method, [part for part in path.split("/") if part]:
        case "GET", []:
            found: Answer = (200, {})
        case "GET", ["schemas", "types"]:
            found = (200, ["AVRO"])
        case "GET", ["schemas", "ids", identifier, *more]:
            found = _by_id(identifier, more, table)
        case "GET", ["subjects"]:
            found = (200, sorted({subject for subject, _ in table if subject.startswith(prefix)}))
        case "GET", ["subjects", subject, "versions", *version] if len(version) <= 2:
            found = _part_of_version(_versions(subject, version[:1], table), version[1:])
        case "POST", ["compatibility", "subjects", subject, "versions", *version] if len(version) <= 1:
            found = _compatible(subject, version, body, table)
        case "POST", ["subjects", subject]:
            found = _same_schema(subject, body, table, (404, _error(40403, "Schema not found")))
        case "POST", ["subjects", subject, "versions"]:
            found = _same_schema(subject, body, table, _read_only(subject))
        case "GET", ["config", *_]:
            found = (200, {"compatibilityLevel": "FULL_TRANSITIVE"})
        case "GET", ["mode", *_]:
            found = (200, {"mode": "READONLY"})
        case "GET", _:
            found = (404, _error(404, "HTTP 404 Not Found: only schemas are served here, and only to be read."))
        case _:
            found = _read_only(path)
    return found


def _by_id(identifier: str, more: list[str], table: Mapping[Key, SchemaRecord]) -> Answer:
    found = [record for record in table.values() if str(record.id) == identifier]
    if not found:
        return 404, _error(40403, f"Schema {identifier} not found")
    match more:
        case []:
            return 200, {"schema": found[0].schema}
        case ["schema"]:
            return 200, json.loads(found[0].schema)
        case ["subjects"]:
            return 200, sorted({record.subject for record in found})
        case ["versions"]:
            return 200, [{"subject": record.subject, "version": record.version} for record in found]
    return 404, _error(404, "HTTP 404 Not Found")


def _versions(subject: str, version: list[str], table: Mapping[Key, SchemaRecord]) -> Answer:
    found = {number: record for (of, number), record in sorted(table.items()) if of == subject}
    if not found:
        return 404, _error(40401, f"Subject '{subject}' not found.")
    if not version:
        return 200, list(found)
    wanted = max(found) if version[0] in ("latest", "-1") else whole_number(version[0].encode(errors="replace"))
    if wanted not in found:
        return 404, _error(40402, f"Version {version[0]} not found.")
    return 200, _document(found[wanted])


def _same_schema(subject: str, body: bytes, table: Mapping[Key, SchemaRecord], otherwise: Answer) -> Answer:
    schema = _schema_in(body)
    if schema is None:
        return _NO_SCHEMA
    known = [record for record in table.values() if record.subject == subject]
    none = otherwise if known or otherwise[0] == 422 else (404, _error(40401, f"Subject '{subject}' not found."))
    try:
        asked = _meaning(schema)
    except (SchemaError, RecursionError):  # such as a schema that is no record: none of ours is like it
        return none
    for record in reversed(known):
        if _meaning(json.loads(record.schema)) == asked:
            return 200, _document(record)
    return none


def _part_of_version(version: Answer, part: list[str]) -> Answer:
    """All of a version, its schema, or the ids of the schemas that refer to it: none of ours does."""
    status, document = version
    match part:
        case ["schema"] if status == 200:
            return 200, json.loads(document["schema"])
        case ["referencedby"] if status == 200:
            return 200, []
        case [_] if status == 200:
            return 404, _error(404, "HTTP 404 Not Found")
    return version


def _compatible(subject: str, version: list[str], body: bytes, table: Mapping[Key, SchemaRecord]) -> Answer:
    """Whether a schema is fully compatible with a version, or with all, by the rules of `freshet apply`."""
    asked = _schema_in(body)
    if asked is None:
        return _NO_SCHEMA
    known = {number: record for (of, number), record in table.items() if of == subject}
    status, found = _versions(subject, version, table)
    if status != 200:
        return status, found
    try:
        parse(asked)
    except (SchemaError, RecursionError) as error:
        return 200, {"is_compatible": False, "messages": [str(error)]}
    numbers = [found["version"]] if version else list(known)
    reasons = [why for number in numbers for why in incompatibilities(asked, json.loads(known[number].schema))]
    return 200, {"is_compatible": not reasons, "messages": reasons}


def _schema_in(body: bytes) -> Any:
    """The Avro schema of a request; None if it holds none."""
    try:
        schema = json.loads(json.loads(body)["schema"])
        parse_schema(schema)
    except Exception:  # no JSON, no text under `schema`, or whatever fastavro makes of a stranger's text
        return None
    return schema


def _document(record: SchemaRecord) -> dict[str, Any]:
    return {
        "subject": record.subject,
        "version": record.version,
        "id": record.id,
        "schemaType": "AVRO",
        "schema": record.schema,
    }


def _meaning(schema: Any) -> tuple[str, list[tuple[str, str, str]]]:
    """What decides how bytes are written and understood: the canonical form, and the logical types that it leaves out.

    Documentation, defaults and the order of keys may differ from what was applied.
    """
    return to_parsing_canonical_form(schema), list(meanings(parse(schema)))


def _error(code: int, message: str) -> dict[str, Any]:
    return {"error_code": code, "message": message}


_NO_SCHEMA: Final[Answer] = (422, _error(42201, "Invalid schema: the request holds no Avro schema under `schema`."))


def _read_only(what: str) -> Answer:
    why = f"{what}: this registry is only read. `freshet apply` publishes event schemas; a producer uses those as is."
    return 422, _error(42205, why)


def _body(environ: WSGIEnvironment) -> tuple[bytes, Answer | None]:
    """The body of a request, as long as it says; or why it is not read. A negative length would read without an end."""
    if environ.get("HTTP_TRANSFER_ENCODING"):
        return b"", (411, _error(411, "a request is sent with its length, not in chunks."))
    length = whole_number((environ.get("CONTENT_LENGTH") or "0").encode())
    if length is None:
        return b"", (400, _error(400, "Content-Length is not a whole number."))
    if length > _BODY_BYTES:
        return b"", (413, _error(413, f"a request may have {_BODY_BYTES} bytes."))
    try:
        return environ["wsgi.input"].read(length), None
    except TimeoutError:
        return b"", (408, _error(408, "the request did not come in time."))


class SchemaServer(WebServer):
    """Serves the schemas that `load` reads, again where they may be out of date, until closed."""

    def __init__(
        self,
        host: str,
        port: int,
        load: Callable[[], Mapping[Key, SchemaRecord]],
        health: HealthPages | None = None,
    ) -> None:
        """Listens at once; see `WebServer`. `health` are further pages, of a service."""
        self._load, self._lock, self._health = load, threading.Lock(), health
        self._table: Mapping[Key, SchemaRecord] = {}
        self._loaded_s = -math.inf
        advice = "Give a --host of this machine and a --port that is free; 0 takes any."
        super().__init__(host, port, self._answer, advice)

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if self._health is not None and self._health.has(path):
            return self._health(environ, start_response)
        body, refusal = _body(environ)
        if refusal is None:
            (prefix,) = parse_qs(environ.get("QUERY_STRING", "")).get("subjectPrefix", [""])[:1]
            refusal = self._asked(environ["REQUEST_METHOD"], path, body, prefix)
        status, document = refusal
        text = json.dumps(document).encode()
        headers = [("Content-Type", _TYPE), ("Content-Length", str(len(text)))]
        start_response(f"{status} {_REASONS.get(status, 'Error')}", headers)
        return [text]

    def look(self) -> None:
        """Read the schemas again if they may be out of date. Raises FreshetError; what was read before is kept."""
        with self._lock:
            if time.monotonic() - self._loaded_s > _STALE_S:
                self._table, self._loaded_s = self._load(), time.monotonic()

    def _asked(self, method: str, path: str, body: bytes, prefix: str) -> Answer:
        """An id never changes its schema; all else is looked up in schemas that are two seconds old at most."""
        known = answer(method, path, body, self._table)
        if known[0] == 200 and path.startswith("/schemas/ids/"):
            return known
        try:
            self.look()
        except FreshetError as error:
            return 500, _error(50001, f"the schemas topic cannot be read: {error}")
        return answer(method, path, body, self._table, prefix)
