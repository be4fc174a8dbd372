"""What is signed: a record as text that never changes, with the role of the key before it."""

import base64
import json
from typing import Any, Final, Literal

from freshet.contracts.messages import Manifest, Message, Rollout

Role = Literal["builder", "release"]
"""`builder` signs what was made, `release` what may answer."""
ROLES: Final[tuple[Role, ...]] = ("builder", "release")


def builder_statement(manifest: Manifest) -> bytes:
    """What a builder signs: all of the manifest. It names the pipeline, the digest of the bytes, inputs and lineage."""
    return _statement("builder", manifest, frozenset())


def release_statement(rollout: Rollout) -> bytes:
    """What the registry signs: all of an epoch's record, its phase too, but the signatures."""
    return _statement("release", rollout, frozenset({"signatures"}))


def _statement(role: Role, message: Message, without: frozenset[str]) -> bytes:
    """Fields at their default are left out, so that a field that a later release adds breaks no signature.

    The role stands before them: a signature of one role is never one of the other.
    """
    fields = message.model_dump(exclude_defaults=True, exclude=set(without))
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), default=_as_text, allow_nan=False)
    return f"freshet {role} 1\n{text}".encode()


def _as_text(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"a {type(value).__name__} cannot be signed.")
