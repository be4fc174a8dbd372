"""Artifacts on their topic: a model's bytes go out in chunks, and come back checked."""

import time
from typing import Final

from freshet.contracts.control import encode
from freshet.contracts.messages import Candidate, Manifest
from freshet.models.artifact import Assembly, chunk_key, split
from freshet.models.errors import ModelError
from freshet.runtime.bus import Bus, LogReader, Place, Producer, RetriableError, Send

ARTIFACTS: Final = Place("artifacts", 0)
_FETCH_TIMEOUT_S: Final = 60.0  # 256 MB at a twentieth of what one broker gives
_CHUNKS_AT_ONCE: Final = 16  # 8 MiB in flight


def publish_model(producer: Producer, data: bytes, manifest: Manifest) -> Candidate:
    """Write the chunks, wait until all are acknowledged, then write the candidate; returns what was written.

    No transaction is needed: nobody looks for chunks that no candidate names, and whoever is stopped half-way may
    simply publish again, since every key and value follows from the model alone. Raises FatalError or RetriableError.
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


def fetch_model(manifest: Manifest, offsets: tuple[int, ...], bus: Bus) -> Assembly:
    """A model's chunks, complete. Looks where the hint says; what is not there is looked for in the whole topic.

    A record counts only if its key names a missing chunk and its bytes have that chunk's digest. Blocks; raises
    ModelError `artifact_missing`, or `artifact_unreachable` when the broker does not answer in time.
    """
    assembly = Assembly(manifest)
    try:
        _fill(assembly, manifest, offsets, bus)
    except ModelError:
        assembly.close()
        raise
    return assembly


def _fill(assembly: Assembly, manifest: Manifest, offsets: tuple[int, ...], bus: Bus) -> None:
    deadline_s = time.monotonic() + _FETCH_TIMEOUT_S
    try:
        for start in ([min(offsets)] if offsets else []) + [0]:
            reader = bus.reader([ARTIFACTS.role], {ARTIFACTS: start})
            try:
                _collect(assembly, manifest, reader, deadline_s)
            finally:
                reader.close()
            if assembly.complete():
                return
    except RetriableError as error:
        raise ModelError("artifact_unreachable", f"the artifacts topic cannot be read now: {error}") from error
    missing = sorted(assembly.needs())
    raise ModelError(
        "artifact_missing",
        f"the artifacts topic holds no valid chunk {missing[0]} of {manifest.digest} ({len(missing)} are missing): "
        "publish the model again, which repairs it.",
    )


def _collect(assembly: Assembly, manifest: Manifest, reader: LogReader, deadline_s: float) -> None:
    """Read until the model is complete or the topic ends."""
    wanted = {chunk_key(manifest.digest, index).encode(): index for index in assembly.needs()}
    while wanted and not reader.caught_up():
        if time.monotonic() > deadline_s:
            raise ModelError("artifact_unreachable", f"its chunks did not arrive within {_FETCH_TIMEOUT_S:.0f} s.")
        for batch in reader.read(_CHUNKS_AT_ONCE, 1.0):
            for key, value in zip(batch.keys, batch.values, strict=True):
                index = wanted.get(key) if key is not None else None
                if index is None or value is None or key is None:
                    continue
                try:
                    assembly.add(index, value)
                except ModelError:
                    continue  # damaged; it may have been published again further on, and if not, it is reported missing
                del wanted[key]
