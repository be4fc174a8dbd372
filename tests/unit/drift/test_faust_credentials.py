"""FRESHET_KAFKA as Faust takes it: the same user, password, mechanism and certificates as the other clients use."""

import ssl
from pathlib import Path
from typing import Any

import pytest
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from freshet.drift.faust.faust_credentials import credentials
from freshet.drift.faust.faust_settings import safe_settings
from freshet.runtime.settings import SettingsError, load_settings

LOGIN = {"sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "ann", "sasl.password": "of-a-test"}


def client(**kafka: str) -> dict[str, Any]:
    """What Faust hands its client for these settings; `_` stands for a dot."""
    named = {name.replace("_", "."): value for name, value in kafka.items()}
    return dict(credentials_to_aiokafka_auth(credentials(named)))


def test_a_cluster_that_asks_for_nothing_gets_nothing() -> None:
    """Whatever else is set."""
    assert client() == client(security_protocol="PLAINTEXT") == {"security_protocol": "PLAINTEXT"}


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_password_is_handed_on(mechanism: str) -> None:
    """Without TLS, in either spelling."""
    expected = {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": mechanism,
        "sasl_plain_username": "ann",
        "sasl_plain_password": "of-a-test",
        "ssl_context": None,
    }
    for spelling in ("sasl.mechanism", "sasl.mechanisms"):
        kafka = LOGIN | {"security.protocol": "sasl_plaintext", spelling: mechanism}
        if spelling == "sasl.mechanisms":
            del kafka["sasl.mechanism"]
        assert dict(credentials_to_aiokafka_auth(credentials(kafka))) == expected


def test_tls_checks_the_broker_and_its_name_unless_told_otherwise() -> None:
    """As the C client does."""
    found = client(security_protocol="SSL")
    assert found["security_protocol"] == "SSL"
    assert (found["ssl_context"].verify_mode, found["ssl_context"].check_hostname) == (ssl.CERT_REQUIRED, True)
    unnamed = client(security_protocol="ssl", ssl_endpoint_identification_algorithm="none")["ssl_context"]
    assert (unnamed.verify_mode, unnamed.check_hostname) == (ssl.CERT_REQUIRED, False)
    blind = client(security_protocol="ssl", enable_ssl_certificate_verification="false")["ssl_context"]
    assert (blind.verify_mode, blind.check_hostname) == (ssl.CERT_NONE, False)


def test_authorities_and_our_own_certificate_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file, a folder or the text itself; and a password together with TLS."""
    asked: list[Any] = []

    class Context:
        check_hostname, verify_mode = True, ssl.CERT_REQUIRED

        def load_cert_chain(self, *files: str | None) -> None:
            asked.append(files)

    def context(**authorities: str | None) -> Context:
        asked.append({name: place for name, place in authorities.items() if place is not None})
        return Context()

    monkeypatch.setattr(ssl, "create_default_context", context)
    kafka = {"security.protocol": "SASL_SSL", "ssl.ca.location": "ca.pem", **LOGIN}
    found = dict(credentials_to_aiokafka_auth(credentials(kafka)))
    assert (found["security_protocol"], found["sasl_mechanism"]) == ("SASL_SSL", "SCRAM-SHA-512")
    assert isinstance(found["ssl_context"], Context)
    own = {"ssl.certificate.location": "our.pem", "ssl.key.location": "our.key", "ssl.key.password": "of-a-test"}
    credentials({"security.protocol": "SSL", "ssl.ca.location": str(tmp_path), "ssl.ca.pem": "text", **own})
    assert asked == [
        {"cafile": "ca.pem"},
        {"capath": str(tmp_path), "cadata": "text"},
        ("our.pem", "our.key", "of-a-test"),
    ]


@pytest.mark.parametrize(
    ("kafka", "told"),
    [
        ({"security.protocol": "SASL_SSL", "sasl.mechanism": "OAUTHBEARER"}, "has sasl.mechanism OAUTHBEARER"),
        ({"security.protocol": "SASL_PLAINTEXT"}, "has sasl.mechanism GSSAPI"),
        ({"security.protocol": "SSL", "ssl.keystore.location": "k.p12"}, "does not know ssl.keystore.location"),
        ({"security.protocol": "SSL", "ssl.ca.location": "nowhere.pem"}, "cannot be used"),
        ({"security.protocol": "SSL", "ssl.key.location": "k.pem"}, "without ssl.certificate.location"),
    ],
)
def test_what_faust_cannot_do_is_refused(kafka: dict[str, str], told: str) -> None:
    """It would connect without, or wait."""
    with pytest.raises(SettingsError, match=told):
        credentials(kafka)


def test_apps_are_made_with_them(tmp_path: Path) -> None:
    """Of the door and of the engine."""
    settings = load_settings(
        "localhost:9092", state_dir=tmp_path, kafka={"security.protocol": "SASL_PLAINTEXT", **LOGIN}
    )
    assert safe_settings(settings)["broker_credentials"].username == "ann"


def test_comments_of_an_authority_may_be_in_any_language(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka's C client skips what stands between certificates; Python takes no text with such letters at all."""
    asked: list[str | None] = []

    def context(cadata: str | None, **_: str | None) -> ssl.SSLContext:
        asked.append(cadata)
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    with pytest.raises(SettingsError, match="cannot be used"):
        credentials({"security.protocol": "SSL", "ssl.ca.pem": "# Autoridad de Certificación\nno certificate"})
    monkeypatch.setattr(ssl, "create_default_context", context)
    credentials({"security.protocol": "SSL", "ssl.ca.pem": "# Certificación\n-----BEGIN CERTIFICATE-----"})
    assert asked == ["# Certificaci?n\n-----BEGIN CERTIFICATE-----"]
