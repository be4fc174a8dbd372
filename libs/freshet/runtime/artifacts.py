"""Artifacts on their topic: a model's bytes go out in chunks, and come back checked."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from freshet.avro.control import encode
from freshet.contracts.messages import Candidate, Manifest
from freshet.models.artifact import Assembly, chunk_key, digest_of, split
from freshet.models.model_error import ModelError
from freshet.runtime.bus.protocol import Bus, LogReader, Place, Producer, RetriableError, Send
from freshet.runtime.reading import everything

ARTIFACTS: Final = Place("artifacts", 0)
_SILENCE_S: Final = 60.0  # without any record; how long it takes in all depends on the topic
_WITHDRAWAL_S: Final = 10.0  # somebody wants to leave
_CHUNKS_AT_ONCE: Final = 16  # 8 MiB in flight


class Published(NamedTuple):
    """A candidate, and the place of its record: the registry's verdict refers to that record."""

    candidate: Candidate
    offset: int


def publish_model(
    producer: Producer, data: bytes, manifest: Manifest, signatures: Mapping[str, bytes] | None = None
) -> Published:
    """Write the chunks, wait until all are acknowledged, then write the candidate; returns what was written.

    No transaction is needed: nobody looks for chunks that no candidate names. Whoever is stopped half-way may simply
    publish again, since all keys and values depend on the model alone. Raises FatalError or RetriableError.
    """
    chunks = split(data, manifest.chunk_bytes)
    offsets: list[int] = []
    for first in range(0, len(chunks), _CHUNKS_AT_ONCE):
        some = chunks[first : first + _CHUNKS_AT_ONCE]
        keys = [chunk_key(manifest.digest, index).encode() for index in range(first, first + len(some))]
        offsets += producer.send(Send("artifacts", keys, some))
    candidate = Candidate(manifest=manifest, chunk_offsets=tuple(offsets), signatures=dict(signatures or {}))
    (offset,) = producer.send(Send("candidates", [_candidate_key(manifest)], [encode(candidate)]))
    return Published(candidate, offset)


def publish_small(producer: Producer, values: Sequence[bytes]) -> None:
    """Write artifacts that are one record each, under the key of their only chunk. Raises as a producer does."""
    for first in range(0, len(values), _CHUNKS_AT_ONCE):
        some = values[first : first + _CHUNKS_AT_ONCE]
        producer.send(Send("artifacts", [chunk_key(digest_of(value), 0).encode() for value in some], list(some)))


def fetch_small(bus: Bus, digests: Iterable[str]) -> dict[str, bytes]:
    """Artifacts that are one record each, by digest. Reads the whole topic.

    A record counts only if its bytes have the digest that its key names. Raises ModelError `artifact_missing`, and
    RetriableError.
    """
    wanted = {chunk_key(digest, 0).encode(): digest for digest in digests}
    found: dict[str, bytes] = {}
    for batch in everything(bus, "artifacts"):
        for key, value in zip(batch.keys, batch.values, strict=True):
            digest = wanted.get(key or b"")
            if digest is not None and value is not None and digest not in found and digest_of(value) == digest:
                found[digest] = value
    if missing := sorted(set(wanted.values()) - found.keys()):
        raise ModelError(
            "artifact_missing", f"the artifacts topic does not hold {missing[0]} ({len(missing)} missing)."
        )
    return found


def withdraw_model(producer: Producer, manifest: Manifest) -> None:
    """Take a candidate back that has no verdict yet; its chunks stay where they are, and harm nobody.

    Raises BusError if that could not be written within seconds.
    """
    producer.send(Send("candidates", [_candidate_key(manifest)], [None]), _WITHDRAWAL_S)


def _candidate_key(manifest: Manifest) -> bytes:
    return f"{manifest.pipeline}/{manifest.digest}".encode()


def fetch_model(
    manifest: Manifest, offsets: tuple[int, ...], bus: Bus, now_s: Callable[[], float] = time.monotonic
) -> Assembly:
    """All chunks of a model. It looks where the hint says first, and for what is missing there in the whole topic.

    A record counts only if its key names a missing chunk and its bytes have that chunk's digest. Blocks for as long as
    records come. Raises ModelError: `artifact_missing` once the whole topic was read in vain, `artifact_unreachable` if
    the broker gives nothing for a minute, or refuses.
    """
    assembly = Assembly(manifest)
    try:
        _fill(assembly, manifest, offsets, bus, now_s)
    except ModelError:
        assembly.close()
        raise
    return assembly


def _fill(
    assembly: Assembly, manifest: Manifest, offsets: tuple[int, ...], bus: Bus, now_s: Callable[[], float]
) -> None:
    hint = max(0, min(offsets, default=0))
    try:
        for start, end in ((hint, None), (0, hint)):
            if not assembly.complete() and end != 0:
                reader = bus.reader([ARTIFACTS.role], {ARTIFACTS: start})
                try:
                    _collect(assembly, manifest, reader, end, now_s)
                finally:
                    reader.close()
    except RetriableError as error:
        raise ModelError("artifact_unreachable", f"the artifacts topic cannot be read now: {error}") from error
    missing = sorted(assembly.needs())
    if missing:
        raise ModelError(
            "artifact_missing",
            f"the artifacts topic holds no valid chunk {missing[0]} of {manifest.digest} ({len(missing)} are missing): "
            "publish the model again, which repairs it.",
        )


def _collect(
    assembly: Assembly, manifest: Manifest, reader: LogReader, end: int | None, now_s: Callable[[], float]
) -> None:
    """Read until the model is complete, or the topic ends, or the offset `end` is reached."""
    wanted = {chunk_key(manifest.digest, index).encode(): index for index in assembly.needs()}
    heard_s = now_s()
    while wanted and not reader.caught_up():
        if now_s() - heard_s > _SILENCE_S:
            raise ModelError("artifact_unreachable", f"the artifacts topic gave nothing for {_SILENCE_S:.0f} s.")
        for batch in reader.read(_CHUNKS_AT_ONCE, 1.0):
            heard_s = now_s()
            for key, value in zip(batch.keys, batch.values, strict=True):
                index = wanted.get(key) if key is not None else None
                if index is None or value is None or key is None:
                    continue
                try:
                    assembly.add(index, value)
                except ModelError:
                    continue  # damaged; it may have been published again further on, and if not, it is reported missing
                del wanted[key]
            if end is not None and batch.records[-1].offset() >= end - 1:
                return
