"""Models as chunks on a topic: how they are cut, named and put together again."""

import hashlib
from typing import Final

from freshet.contracts.messages import Manifest
from freshet.models.model_error import ModelError
from freshet.models.model_file import ModelFile

Bytes = bytes  # `Assembly.bytes` hides the type's own name inside the class
CHUNK_BYTES: Final = 512 * 1024
"""Length of every chunk but the last. Speed does not depend on it, and a Kafka record of default size holds it."""


def digest_of(data: bytes) -> str:
    """sha256, lower-case hex: the name of an artifact."""
    return hashlib.sha256(data).hexdigest()


def chunk_key(digest: str, index: int) -> str:
    """The key of a chunk on the artifacts topic: same model, same keys, so that publishing twice is harmless."""
    return f"{digest}/{index}"


def split(data: bytes, chunk_bytes: int = CHUNK_BYTES) -> list[bytes]:
    """The chunks of a model, in order."""
    return [data[start : start + chunk_bytes] for start in range(0, len(data), chunk_bytes)]


def chunk_count(size_bytes: int, chunk_bytes: int) -> int:
    """How many chunks `split` makes."""
    return -(-size_bytes // chunk_bytes)


class Assembly:
    """A model as it arrives, chunk by chunk, in any order and from any number of publishers.

    A chunk counts only if its digest is the manifest's; a repeated one is ignored. Check the manifest first: what it
    says about sizes is taken for true. Memory is that of the model. Not thread-safe.
    """

    def __init__(self, manifest: Manifest) -> None:
        expected = chunk_count(manifest.size_bytes, manifest.chunk_bytes)
        if len(manifest.chunk_digests) != expected:
            raise ModelError(
                "manifest_invalid",
                f"it lists {len(manifest.chunk_digests)} chunks, but {manifest.size_bytes} bytes in chunks of "
                f"{manifest.chunk_bytes} are {expected}: pack the model again.",
            )
        self._manifest = manifest
        self._needs = set(range(expected))
        self._file = ModelFile()

    def needs(self) -> set[int]:
        """Indexes of the chunks that are missing."""
        return set(self._needs)

    def complete(self) -> bool:
        """True once no chunk is missing."""
        return not self._needs

    def add(self, index: int, chunk: Bytes) -> None:
        """Take in a chunk. Raises ModelError, and changes nothing, unless it is the one that the manifest names."""
        digests = self._manifest.chunk_digests
        if not 0 <= index < len(digests):
            raise ModelError("artifact_chunk", f"there is no chunk {index}: the manifest lists {len(digests)}.")
        if digest_of(chunk) != digests[index]:
            raise ModelError(
                "artifact_digest",
                f"chunk {index} is damaged, its sha256 is not the manifest's: publish the model again to repair it.",
            )
        if index in self._needs:
            self._file.write(index * self._manifest.chunk_bytes, chunk)
            self._needs.remove(index)

    def bytes(self) -> Bytes:
        """The model. Raises ModelError if chunks are missing or the whole is not what the manifest says."""
        self._check()
        return self._file.content()

    def file(self) -> ModelFile:
        """The model as a file in memory, handed over: close it, and drop the assembly. Raises as `bytes` does."""
        self._check()
        return self._file

    def close(self) -> None:
        """Free the memory of a model that will not be complete, or that was copied by `bytes`."""
        self._file.close()

    def _check(self) -> None:
        if self._needs:
            raise ModelError(
                "artifact_incomplete",
                f"{len(self._needs)} of {len(self._manifest.chunk_digests)} chunks are missing, the first is "
                f"{min(self._needs)}: publish the model again, which repairs it.",
            )
        check_bytes(self._file, self._manifest)


def check_bytes(model: ModelFile, manifest: Manifest) -> None:
    """Raise ModelError unless these are exactly the bytes that the manifest names."""
    if model.size_bytes != manifest.size_bytes:
        raise ModelError(
            "artifact_size",
            f"it holds {model.size_bytes} bytes, the manifest says {manifest.size_bytes}: pack it again.",
        )
    if model.digest() != manifest.digest:
        raise ModelError("artifact_digest", "its sha256 is not the manifest's: these are the bytes of another model.")
