"""What a schema registry may answer, and what is made of it: one host, bounded time, bounded size."""

import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from freshet.avro.written_schema import FoundSchema
from freshet.contracts.errors import ContractError
from freshet.contracts.registry_address import registry_address
from freshet.runtime import registry_client
from freshet.runtime.registry_client import ANSWER_BYTES, RegistryClient, RegistryError, login_for
from freshet.runtime.registry_schemas import find_schema
from support.schema_registry import StandInRegistry, byte_by_byte


@pytest.fixture
def registry() -> Iterator[StandInRegistry]:
    """One that knows id 7."""
    with StandInRegistry().register(7, {"type": "string"}).running() as running:
        yield running


def test_an_id_is_found_or_denied(registry: StandInRegistry) -> None:
    """Only the path of that id is asked for."""
    assert find_schema(registry.url, 7, "") == FoundSchema('{"type": "string"}')
    assert find_schema(registry.url, 8, "") == FoundSchema(None)
    registry.register(9, "", schemaType="PROTOBUF", references=[{"name": "a", "subject": "b", "version": 1}])
    assert find_schema(registry.url, 9, "") == FoundSchema('""', "PROTOBUF", references=True)
    assert [asked.path for asked in registry.asked] == ["/schemas/ids/7", "/schemas/ids/8", "/schemas/ids/9"]


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (500, b'{"error_code": 50001}', "HTTP 500"),
        (503, b"busy", "HTTP 503"),
        (302, b"", "redirects are not followed"),
        (401, b"{}", "FRESHET_SCHEMA_REGISTRY"),
        (200, b"<html>", "not JSON"),
        (200, b"[" * 100_000, "not JSON"),
        (200, b"[]", "no schema"),
        (200, b'{"schema": 5}', "no schema"),
        (404, b'{"message": "no such page"}', "is its path right"),
        (200, b'"' + b"x" * ANSWER_BYTES + b'"', f"more than {ANSWER_BYTES} bytes"),
    ],
)
def test_what_is_no_answer_is_trouble_and_no_verdict(
    registry: StandInRegistry, status: int, body: bytes, told: str
) -> None:
    """Nobody may take it for "this id is unknown": events wait instead."""
    registry.trouble = (status, body)
    with pytest.raises(RegistryError, match=told):
        find_schema(registry.url, 7, "")
    assert len(registry.asked) == 1


def test_a_registry_that_is_away_is_named() -> None:
    """With its address."""
    with StandInRegistry().running() as gone:
        pass
    with pytest.raises(RegistryError, match=f"{gone.url} does not answer"):
        find_schema(gone.url, 7, "")


def test_an_answer_that_never_ends_is_left(registry: StandInRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte after byte keeps a socket's own limit from ever being reached."""
    monkeypatch.setattr(registry_client, "REQUEST_S", 0.3)
    registry.trouble = byte_by_byte
    with pytest.raises(RegistryError):
        find_schema(registry.url, 7, "")


def test_a_login_is_shown_to_its_own_server_only(registry: StandInRegistry) -> None:
    """Whoever may apply a pipeline names the registry; that must not be a way to the login of another."""
    login = registry.url.replace("http://", "http://me:p%40ss@")
    find_schema(registry.url, 7, login)
    find_schema(registry.url, 7, "http://me:pass@127.0.0.1:1")
    assert [one.login for one in registry.asked[-2:]] == [f"Basic {b64encode(b'me:p@ss').decode()}", None]
    assert login_for(registry_address("https://a.example"), "http://me:pass@a.example") == ""


def test_tls_is_spoken_to_a_registry_whose_authority_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`SSL_CERT_FILE` names it; a certificate that nobody vouches for is refused, and the login is not sent."""
    registry = StandInRegistry().register(7, {"type": "string"})
    authority = registry.with_tls(tmp_path)
    login = registry.url.replace("https://", "https://me:pass@")
    with registry.running():
        registry_client._authorities.cache_clear()
        with pytest.raises(RegistryError, match="CERTIFICATE_VERIFY_FAILED"):
            find_schema(registry.url, 7, login)
        assert not registry.asked
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        registry_client._authorities.cache_clear()
        assert find_schema(registry.url, 7, login).text == '{"type": "string"}'
    registry_client._authorities.cache_clear()
    assert registry.asked[0].login is not None


@pytest.mark.parametrize(
    "url", ["ftp://a", "https://", "https://a:x", "https://a b", "https://a/?x=1", "https://a/#x", "https://u:secret@a"]
)
def test_an_address_that_cannot_be_used_is_refused(url: str) -> None:
    """Without repeating a password."""
    with pytest.raises(ContractError) as refused:
        registry_address(url)
    assert "secret" not in str(refused.value)


def test_an_address_keeps_its_path() -> None:
    """As Apicurio's has one."""
    assert str(registry_address("http://h:8080/apis/ccompat/v7/")) == "http://h:8080/apis/ccompat/v7"
    assert str(registry_address("https://h")) == "https://h:443"


def test_documents_are_sent_as_json(registry: StandInRegistry) -> None:
    """And errors of the registry have its code and message."""
    client = RegistryClient(registry_address(registry.url))
    answer = client.ask("POST", "/subjects/s", {"schema": json.dumps({"type": "int"})})
    assert (answer.status, answer.error_code, answer.message) == (404, 40401, "not found")
