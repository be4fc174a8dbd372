"""With whose keys a model is signed, and what each signature is worth by the trust file at hand."""

from typing import TYPE_CHECKING, Final

from freshet.contracts.messages import ModelVersion

if TYPE_CHECKING:  # it needs an extra
    from freshet.trust.trusted_keys import TrustedKeys

UNCHECKED: Final = "not checked"
"""No trust file is at hand: the record names the key, and anybody may have written that."""


def signers(model: ModelVersion, keys: "TrustedKeys | None") -> dict[str, str]:
    """By the ids of the keys that are said to have signed it, sorted: `trusted`, or why that one does not count."""
    if keys is None or not model.signatures:
        return dict.fromkeys(sorted(model.signatures), UNCHECKED)
    from freshet.trust.signature_check import INVALID, REVOKED_KEY, UNKNOWN_KEY, WRONG_ROLE, objection  # noqa: PLC0415
    from freshet.trust.statements import builder_statement  # noqa: PLC0415

    words = {
        REVOKED_KEY: "revoked",
        UNKNOWN_KEY: "not in the trust file",
        WRONG_ROLE: "no builder's key",
        INVALID: "not its signature",
    }
    statement = builder_statement(model.manifest)
    found = {
        key: objection("builder", statement, {key: signature}, keys) for key, signature in model.signatures.items()
    }
    return {key: words[against.reason] if against else "trusted" for key, against in sorted(found.items())}


def signed_by(found: dict[str, str]) -> str:
    """The same in one phrase; empty if nobody has signed it."""
    return ", ".join(f"{key} ({standing})" for key, standing in found.items())
