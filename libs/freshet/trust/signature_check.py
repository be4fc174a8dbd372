"""Whether signatures make a statement believed, and if not, why: one code and one sentence for each way to fail."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from freshet.ledger.meddling import WRITERS
from freshet.trust.statements import Role
from freshet.trust.trusted_keys import TrustedKeys

MISSING: Final = "signature_missing"
UNKNOWN_KEY: Final = "signature_unknown_key"
WRONG_ROLE: Final = "signature_wrong_role"
REVOKED_KEY: Final = "signature_revoked_key"
INVALID: Final = "signature_invalid"
_BY_HOPE: Final = (REVOKED_KEY, INVALID, WRONG_ROLE, UNKNOWN_KEY)
"""Of several signatures that do not count, the one that came nearest is told."""


@dataclass(frozen=True, slots=True)
class Objection:
    """Why something is not believed: a code, and a sentence with what to do."""

    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


def objection(role: Role, statement: bytes, signatures: Mapping[str, bytes], keys: TrustedKeys) -> Objection | None:
    """None if one of the signatures is of exactly this statement, by a trusted key of this role."""
    if not signatures:
        return Objection(MISSING, f"it bears no signature of a {role} key. {_REMEDY[role]}{_IF_NOT[role]}")
    found = [_against(role, statement, key, signature, keys) for key, signature in signatures.items()]
    if None in found:
        return None
    return min((one for one in found if one), key=lambda one: _BY_HOPE.index(one.reason))


def _against(role: Role, statement: bytes, key: str, signature: bytes, keys: TrustedKeys) -> Objection | None:
    known, shown = keys.keys.get(key), key[:64]
    if known is None:
        why = f"key {shown} signed it, which the trust file does not hold. Add it as a {role} key if it is one."
        return Objection(UNKNOWN_KEY, f"{why}{_IF_NOT[role]}")
    if known.role != role:
        why = f"key {shown} signed it, which is a {known.role} key, not a {role} key. {_REMEDY[role]}{_IF_NOT[role]}"
        return Objection(WRONG_ROLE, why)
    if not known.made(signature, statement):
        why = f"the signature of key {shown} is not of this: it was changed, or belongs to another. {_FORGED[role]}"
        return Objection(INVALID, why)
    if known.status == "revoked":
        return Objection(REVOKED_KEY, f"key {shown} signed it, which is revoked. {_REMEDY[role]}")
    return None


_REMEDY: Final[Mapping[Role, str]] = {
    "builder": "Sign its bundle with a trusted builder key (`freshet model sign`), and publish it again; who has no "
    "bundle of it gets one by `freshet model fetch`.",
    "release": "Start the registry with a trusted release key, and promote the version again.",
}
_FORGED: Final[Mapping[Role, str]] = {
    "builder": _REMEDY["builder"],
    "release": f"Somebody else than the registry has written it, and it counts nowhere; no key is missing. {WRITERS}",
}
"""What a key that we know would never have signed so."""
_IF_NOT: Final[Mapping[Role, str]] = {
    "builder": "",
    "release": f" If the registry did not write it, somebody else did, and it counts nowhere. {WRITERS}",
}
"""Where it may be either: a registry without the right key, or a stranger."""
