"""What a model is judged by: its manifest as a whole. The same bytes under another manifest are another candidate."""

from hashlib import sha256

from freshet.contracts.control import encode
from freshet.contracts.messages import Candidate, Manifest

_HEADER_BYTES = 5


def manifest_id(manifest: Manifest) -> str:
    """sha256, lower-case hex, of the manifest as a record carries it."""
    return sha256(encode(Candidate(manifest=manifest))[_HEADER_BYTES:]).hexdigest()
