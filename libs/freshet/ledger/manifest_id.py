"""What a model is judged by: its manifest as a whole. The same bytes under another manifest are another candidate."""

from hashlib import sha256

from freshet.avro.control import encode
from freshet.contracts.messages import Candidate, Manifest

_HEADER_BYTES = 5
_SIGNATURES_BYTES = 1


def manifest_id(manifest: Manifest) -> str:
    """sha256, lower-case hex, of the manifest as a record carries it.

    Ids never change: the byte of a candidate's empty signatures, which came later, does not count, and neither does
    that of an empty `required`.
    """
    body = encode(Candidate(manifest=manifest))[_HEADER_BYTES:-_SIGNATURES_BYTES]
    return sha256(body if manifest.required else body[:-1]).hexdigest()
