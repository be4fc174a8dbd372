"""A server of identities on loopback that gives signed tokens, and a real Kafka that asks for them (OAUTHBEARER)."""

import base64
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from freshet.lab import broker, server_files
from freshet.lab.ports import free_port
from freshet.operate.broker_record import LOOPBACK
from support.http_listener import HttpListener, QuietHandler

AUDIENCE: Final = "kafka-of-a-test"
SECRET: Final = "of-a-test/+ =&"  # with all that an address or a form would have to escape
_KEY_ID: Final = "key-of-a-test"

_SETTINGS: Final = """\
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
# Whoever comes in by the open door: the test, and the broker itself.
super.users=User:ANONYMOUS;User:freshet
sasl.enabled.mechanisms=OAUTHBEARER
connections.max.reauth.ms=3600000
listener.name.signed.oauthbearer.connections.max.reauth.ms=3600000
listener.name.signed.oauthbearer.sasl.jaas.config={module} required;
listener.name.signed.oauthbearer.sasl.server.callback.handler.class={package}.OAuthBearerValidatorCallbackHandler
sasl.oauthbearer.jwks.endpoint.url={keys}
sasl.oauthbearer.expected.audience={audience}
sasl.oauthbearer.expected.issuer={issuer}
listener.name.unsigned.oauthbearer.connections.max.reauth.ms=3600000
listener.name.unsigned.oauthbearer.sasl.jaas.config={module} required;
listener.name.unsigned.oauthbearer.sasl.server.callback.handler.class=\
{package}.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler
"""
_PACKAGE: Final = "org.apache.kafka.common.security.oauthbearer"


class Identities(HttpListener):
    """Listens inside its `with`: gives a token to whoever knows the secret, and shows the key to look at it with."""

    def __init__(self, lifetime_s: int = 3600) -> None:
        self.lifetime_s = lifetime_s
        self.refuses = False
        self.given: list[str] = []
        """To whom a token was given, once for each."""
        self._key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)

    @property
    def url(self) -> str:
        """Where it is, and who it is: the issuer of its tokens."""
        return f"http://{LOOPBACK}:{self.port}"

    def token(self, who: str, audience: str) -> str:
        """A signed token, valid from now on."""
        now = int(time.time())
        claims = {"iss": self.url, "aud": audience, "sub": who, "iat": now, "exp": now + self.lifetime_s}
        body = ".".join(_encoded(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": _KEY_ID}, claims))
        return f"{body}.{_encoded(self._key.sign(body.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def keys(self) -> Mapping[str, Any]:
        """What tokens are looked at with (JWKS)."""
        public = self._key.public_key().public_numbers()
        exponent, modulus = (_encoded(number.to_bytes(-(-number.bit_length() // 8))) for number in (public.e, public.n))
        return {"keys": [{"kty": "RSA", "kid": _KEY_ID, "use": "sig", "alg": "RS256", "e": exponent, "n": modulus}]}

    def answer(self, authorization: str, audience: str) -> tuple[int, Mapping[str, Any]]:
        """To somebody who asks with an id and a secret for a token that is for this audience."""
        who, _, secret = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        if secret != SECRET or self.refuses:
            return 401, {"error": "invalid_client", "error_description": "nobody has this secret"}
        self.given.append(who)
        return 200, {"access_token": self.token(who, audience), "token_type": "Bearer", "expires_in": self.lifetime_s}

    def handler(self) -> type[QuietHandler]:
        """Answers with keys and tokens."""
        outer = self

        class Handler(QuietHandler):
            def do_GET(self) -> None:  # noqa: N802 (the name that http.server calls)
                self._send(200, outer.keys())

            def do_POST(self) -> None:  # noqa: N802 (the name that http.server calls)
                asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self._send(*outer.answer(self.headers["Authorization"], asked.get("scope", [AUDIENCE])[0]))

            def _send(self, status: int, told: Mapping[str, Any]) -> None:
                body = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        return Handler


@dataclass(frozen=True)
class OAuthKafka:
    """A broker with three doors: one asks nothing, one for a signed token, one for a token that nobody has signed."""

    open_servers: str
    signed_servers: str
    unsigned_servers: str
    identities: Identities

    def login(self, who: str = "freshet", **other: str) -> dict[str, str]:
        """Client settings of somebody who gets tokens from the server of identities."""
        return {
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "OAUTHBEARER",
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.token.endpoint.url": f"{self.identities.url}/token",
            "sasl.oauthbearer.client.id": who,
            "sasl.oauthbearer.client.secret": SECRET,
            **other,
        }

    def unsigned_login(self, who: str = "freshet", life_s: int = 3600) -> dict[str, str]:
        """Client settings of somebody who writes tokens for himself."""
        return {
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "OAUTHBEARER",
            "enable.sasl.oauthbearer.unsecure.jwt": "true",
            "sasl.oauthbearer.config": f"principal={who} lifeSeconds={life_s}",
        }


@contextmanager
def oauth_kafka(root: Path) -> Iterator[OAuthKafka]:
    """Such a broker in this folder; always our own, and deleted afterwards."""
    environ = {name: value for name, value in os.environ.items() if name != "KAFKA_BOOTSTRAP_SERVERS"}
    signed, unsigned = free_port(), free_port()
    doors = f"SIGNED://{{loopback}}:{signed},UNSIGNED://{{loopback}}:{unsigned},CONTROLLER://"
    protocols = "protocol.map=SIGNED:SASL_PLAINTEXT,UNSIGNED:SASL_PLAINTEXT,"
    with Identities() as identities, pytest.MonkeyPatch.context() as patch:
        keys = f"{identities.url}/keys"
        settings = server_files._SERVER_PROPERTIES.replace("CONTROLLER://", doors).replace("protocol.map=", protocols)
        settings += _SETTINGS.format(
            module=f"{_PACKAGE}.OAuthBearerLoginModule",
            package=_PACKAGE,
            keys=keys,
            audience=AUDIENCE,
            issuer=identities.url,
        )
        patch.setattr(server_files, "_SERVER_PROPERTIES", settings)
        # Kafka asks no address for keys that it was not allowed to
        patch.setattr(
            server_files, "_JVM", (*server_files._JVM, f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={keys}")
        )
        try:
            endpoint = broker.up(root, say=print, environ=environ)
            yield OAuthKafka(endpoint.bootstrap_servers, f"{LOOPBACK}:{signed}", f"{LOOPBACK}:{unsigned}", identities)
        finally:
            broker.wipe(root, environ=environ)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
