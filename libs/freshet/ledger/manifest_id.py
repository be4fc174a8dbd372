"""What a model is judged by: its manifest as a whole. The same bytes under another manifest are another candidate."""

from hashlib import sha256

from freshet.avro.control import encode
from freshet.contracts.messages import Candidate, Manifest

_HEADER_BYTES = 5


def manifest_id(manifest: Manifest) -> str:
    """sha256, lower-case hex, of the manifest as a record carries it.

    `required` came later than the first manifests: where it is empty its one byte does not count, so that they keep
    their ids.
    """
    body = encode(Candidate(manifest=manifest))[_HEADER_BYTES:]
    return sha256(body if manifest.required else body[:-1]).hexdigest()
