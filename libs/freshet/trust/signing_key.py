"""Private keys: made, read and used for signing. Ed25519 of the `cryptography` package."""

import base64
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from freshet.contracts.errors import FreshetError


class UnusableKeyError(FreshetError):
    """A key or a list of keys that cannot be used."""


def key_id(public: bytes) -> str:
    """How a key is named in signatures and messages: it follows from the public key, 32 bytes, alone."""
    return sha256(public).hexdigest()[:16]


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """A private key. Signing is deterministic: the same statement gives the same signature."""

    _key: Ed25519PrivateKey

    @classmethod
    def generate(cls) -> "SigningKey":
        """A new key, from the system's randomness."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def of_pem(cls, pem: bytes) -> "SigningKey":
        """The key in a PEM file, without a password. Raises UnusableKeyError."""
        try:
            found = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise UnusableKeyError(
                "it is no PEM of a private key without a password; `freshet key new` makes one."
            ) from error
        if not isinstance(found, Ed25519PrivateKey):
            raise UnusableKeyError("it is a key of another kind than Ed25519; `freshet key new` makes one.")
        return cls(found)

    def pem(self) -> bytes:
        """The private key as a PEM file holds it, without a password."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def public(self) -> str:
        """The public key in base64, as a trust file holds it."""
        return base64.b64encode(self._raw()).decode()

    @property
    def id(self) -> str:
        """See `key_id`."""
        return key_id(self._raw())

    def sign(self, statement: bytes) -> dict[str, bytes]:
        """The signature of a statement, 64 bytes, under this key's id: as records carry it."""
        return {self.id: self._key.sign(statement)}

    def _raw(self) -> bytes:
        return self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
