"""TLS and passwords for Faust, from the settings of Kafka's C client that FRESHET_KAFKA has."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from faust import SASLCredentials, SSLCredentials
from faust.types.auth import CredentialsT

from freshet.runtime.settings import SettingsError

_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_UNDERSTOOD: Final = frozenset(
    {
        "security.protocol",
        "sasl.mechanism",
        "sasl.mechanisms",
        "sasl.username",
        "sasl.password",
        "ssl.ca.location",
        "ssl.ca.pem",
        "ssl.certificate.location",
        "ssl.key.location",
        "ssl.key.password",
        "ssl.endpoint.identification.algorithm",
        "enable.ssl.certificate.verification",
    }
)


def credentials(kafka: Mapping[str, str]) -> CredentialsT | None:
    """What Faust logs in with; None where the brokers ask for nothing.

    Raises SettingsError where these settings ask for something that Faust, or its client, cannot do: it would connect
    without, or wait for ever.
    """
    protocol = kafka.get("security.protocol", "plaintext").upper()
    if protocol == "PLAINTEXT":
        return None
    strange = [name for name in sorted(kafka) if name.startswith(("ssl.", "sasl.")) and name not in _UNDERSTOOD]
    if strange:
        raise SettingsError(
            f"Faust does not know {', '.join(strange)} of FRESHET_KAFKA; it knows {', '.join(sorted(_UNDERSTOOD))}. "
            "FRESHET_DRIFT_ENGINE=loop takes every setting."
        )
    context = _tls(kafka) if protocol.endswith("SSL") else None
    if protocol == "SSL":
        return SSLCredentials(context)
    mechanism = (kafka.get("sasl.mechanism") or kafka.get("sasl.mechanisms") or "GSSAPI").upper()
    if mechanism not in _MECHANISMS:
        known = ", ".join(_MECHANISMS)
        raise SettingsError(f"Faust logs in with {known}, and FRESHET_KAFKA has sasl.mechanism {mechanism}.")
    user, password = kafka.get("sasl.username"), kafka.get("sasl.password")
    return SASLCredentials(username=user, password=password, mechanism=mechanism, ssl_context=context)


def _tls(kafka: Mapping[str, str]) -> ssl.SSLContext:
    """Who is trusted, and our own certificate where there is one. As the C client does, it checks the broker's name."""
    place = kafka.get("ssl.ca.location", "")
    place = "" if place == "probe" else place
    folder = place if Path(place).is_dir() and place else None
    if kafka.get("ssl.key.location") and not kafka.get("ssl.certificate.location"):
        raise SettingsError(
            "FRESHET_KAFKA has ssl.key.location without ssl.certificate.location: name the key's certificate, too."
        )
    try:
        context = ssl.create_default_context(
            cafile=None if folder else place or None, capath=folder, cadata=_ascii(kafka.get("ssl.ca.pem"))
        )
        if certificate := kafka.get("ssl.certificate.location"):
            context.load_cert_chain(certificate, kafka.get("ssl.key.location"), kafka.get("ssl.key.password"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"the certificates that FRESHET_KAFKA names cannot be used: {error}") from error
    if kafka.get("ssl.endpoint.identification.algorithm", "https").lower() == "none":
        context.check_hostname = False
    if kafka.get("enable.ssl.certificate.verification", "true").lower() == "false":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _ascii(pem: str | None) -> str | None:
    """Python takes certificates as ASCII only; comments between them, which may be in any language, count for nothing.

    A letter that is no ASCII inside a certificate becomes one that no certificate has, so that it is still refused.
    """
    return None if pem is None else pem.encode("ascii", "replace").decode("ascii")
