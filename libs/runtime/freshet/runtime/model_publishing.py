"""Puts a model on the topics: first all of its bytes, then the candidate that names them."""

from typing import Final

from freshet.contracts.control import encode
from freshet.contracts.messages import Candidate, Manifest
from freshet.models.artifact import chunk_key, split
from freshet.runtime.bus import Producer, Send

_CHUNKS_AT_ONCE: Final = 16  # 8 MiB in flight


def publish_model(producer: Producer, data: bytes, manifest: Manifest) -> Candidate:
    """Write the chunks, wait until all are acknowledged, then write the candidate; returns what was written.

    No transaction is needed: nobody looks for chunks that no candidate names, and whoever is stopped half-way may simply
    publish again, since every key and value follows from the model alone. Raises FatalError or RetriableError.
    """
    chunks = split(data, manifest.chunk_bytes)
    offsets: list[int] = []
    for first in range(0, len(chunks), _CHUNKS_AT_ONCE):
        some = chunks[first : first + _CHUNKS_AT_ONCE]
        keys = [chunk_key(manifest.digest, index).encode() for index in range(first, first + len(some))]
        offsets += producer.send(Send("artifacts", keys, some))
    candidate = Candidate(manifest=manifest, chunk_offsets=tuple(offsets))
    producer.send(Send("candidates", [f"{manifest.pipeline}/{manifest.digest}".encode()], [encode(candidate)]))
    return candidate
