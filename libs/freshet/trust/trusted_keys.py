"""The public keys that an operator trusts: a small file, mounted where registry and workers run, never a topic."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from freshet.pipeline.problem import PipelineError
from freshet.pipeline.text import read_yaml
from freshet.trust.signing_key import UnusableKeyError, key_id
from freshet.trust.statements import ROLES, Role

Status = Literal["trusted", "revoked"]
_FIELDS: Final = {"id", "role", "public_key", "status"}
_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """An entry of the file: whose signature counts for a role, or no longer counts."""

    id: str
    role: Role
    status: Status
    public: bytes

    def made(self, signature: bytes, statement: bytes) -> bool:
        """Whether this key made the signature, of exactly this statement."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, statement)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """All entries by the keys' ids, and the pipelines that need signatures whatever their specification says."""

    keys: Mapping[str, TrustedKey]
    required_for: frozenset[str] = frozenset()

    def trusts(self, identifier: str, role: Role) -> bool:
        """Whether what this key signs in this role is believed."""
        key = self.keys.get(identifier)
        return key is not None and key.role == role and key.status == "trusted"

    @classmethod
    def parse(cls, text: str) -> "TrustedKeys":
        """Read a trust file, in YAML or JSON, whatever it holds.

        Raises UnusableKeyError that names the entry or the line and what to do, and nothing else: who follows a file
        goes on after that, and after nothing else.
        """
        try:
            found, _ = read_yaml(text)
        except PipelineError as error:
            first = error.problems[0]
            raise UnusableKeyError(f"line {first.line}: {first.message}" if first.line else first.message) from error
        if not found.keys() <= {"keys", "required_for"}:
            raise UnusableKeyError("it must hold `keys`, and may hold `required_for`, and nothing else.")
        entries, names = found.get("keys"), found.get("required_for", ())
        if not isinstance(entries, tuple) or not entries:
            raise UnusableKeyError("its `keys` must be a list, an entry for each key; `freshet key new` prints one.")
        if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
            raise UnusableKeyError("its `required_for` must be a list of names of pipelines.")
        keys: dict[str, TrustedKey] = {}
        for at, entry in enumerate(entries, 1):
            key = _entry(entry, at)
            if key.id in keys:
                raise UnusableKeyError(f"key {key.id} stands in it twice: leave one entry.")
            keys[key.id] = key
        return cls(keys, frozenset(names))


def public_entry(public: str, role: Role) -> str:
    """The entry of a trust file for a public key in base64, as YAML."""
    identifier = key_id(base64.b64decode(public))
    return f'  - id: "{identifier}"\n    role: {role}\n    public_key: "{public}"\n    status: trusted\n'


def _entry(entry: Any, at: int) -> TrustedKey:
    if not isinstance(entry, dict) or entry.keys() != _FIELDS:
        raise UnusableKeyError(f"entry {at}: it must have exactly {', '.join(sorted(_FIELDS))}.")
    if entry["role"] not in ROLES:
        raise UnusableKeyError(f"entry {at}: its role must be {' or '.join(ROLES)}.")
    if entry["status"] not in get_args(Status):
        raise UnusableKeyError(f"entry {at}: its status must be {' or '.join(get_args(Status))}.")
    try:
        public = base64.b64decode(str(entry["public_key"]), validate=True)
    except ValueError as error:  # binascii.Error, or letters outside ASCII
        raise UnusableKeyError(f"entry {at}: its public_key is no base64.") from error
    if len(public) != _KEY_BYTES:
        raise UnusableKeyError(f"entry {at}: its public_key must be {_KEY_BYTES} bytes of an Ed25519 key in base64.")
    if entry["id"] != key_id(public):
        raise UnusableKeyError(f"entry {at}: the id of its public_key is {key_id(public)}. Copy the entry anew.")
    return TrustedKey(entry["id"], entry["role"], entry["status"], public)
