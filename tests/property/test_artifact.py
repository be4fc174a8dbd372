"""Chunks put together again are the model, whatever happens on the way, or an error; never something else."""

from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshet.contracts.messages import Golden, Manifest
from freshet.models.artifact import Assembly, chunk_key, digest_of, split
from freshet.models.model_error import ModelError


def _manifest(data: bytes, chunk_bytes: int) -> Manifest:
    return Manifest(
        pipeline="p",
        digest=digest_of(data),
        size_bytes=len(data),
        chunk_bytes=chunk_bytes,
        chunk_digests=tuple(map(digest_of, split(data, chunk_bytes))),
        inputs=("x",),
        classes=(),
        input_name="rows",
        output_name="scores",
        opset=17,
        golden=Golden(rows=1, features=b"", scores=b""),
        trainer="test",
    )


models = st.binary(min_size=1, max_size=200)
sizes = st.integers(1, 50)


@given(models, sizes, st.randoms(use_true_random=False))
def test_any_order_and_repetition_gives_the_model(data: bytes, chunk_bytes: int, random: object) -> None:
    """Chunks may come in any order, more than once, from several publishers: the bytes are the same."""
    chunks = list(enumerate(split(data, chunk_bytes)))
    arriving = chunks + chunks[: len(chunks) // 2 + 1]
    random.shuffle(arriving)  # type: ignore[attr-defined]
    assembly = Assembly(_manifest(data, chunk_bytes))
    for index, chunk in arriving:
        assembly.add(index, chunk)
    assert assembly.complete()
    assert assembly.bytes() == data
    with assembly.file() as file:
        assert file.digest() == sha256(data).hexdigest()


@given(models, sizes, st.data())
def test_a_damaged_chunk_never_counts(data: bytes, chunk_bytes: int, draw: st.DataObject) -> None:
    """A chunk with one bit flipped, cut short or lengthened is refused, and the good one still counts afterwards."""
    chunks = split(data, chunk_bytes)
    index = draw.draw(st.integers(0, len(chunks) - 1))
    good = chunks[index]
    bit = draw.draw(st.integers(0, 8 * len(good) - 1))
    flipped = bytes(np.frombuffer(good, np.uint8) ^ np.bincount([bit // 8], [1 << bit % 8], len(good)).astype(np.uint8))
    assembly = Assembly(_manifest(data, chunk_bytes))
    for damaged in (flipped, good[:-1], good + b"\0"):
        with pytest.raises(ModelError, match="artifact_digest"):
            assembly.add(index, damaged)
        assert index in assembly.needs()
    for at, chunk in enumerate(chunks):
        assembly.add(at, chunk)
    assert assembly.bytes() == data


@given(models, sizes, st.data())
def test_half_a_model_is_no_model(data: bytes, chunk_bytes: int, draw: st.DataObject) -> None:
    """While a chunk is missing there are no bytes to be had, and `needs` names exactly what is missing."""
    chunks = split(data, chunk_bytes)
    missing = draw.draw(st.sets(st.integers(0, len(chunks) - 1), min_size=1))
    assembly = Assembly(_manifest(data, chunk_bytes))
    for index, chunk in enumerate(chunks):
        if index not in missing:
            assembly.add(index, chunk)
    assert assembly.needs() == missing
    assert not assembly.complete()
    with pytest.raises(ModelError, match="artifact_incomplete"):
        assembly.bytes()


@given(models, sizes)
def test_same_bytes_same_keys(data: bytes, chunk_bytes: int) -> None:
    """Publishing a model twice writes the same records, so that compaction keeps one; no two chunks share a key."""
    chunks = split(data, chunk_bytes)
    keys = [chunk_key(digest_of(data), index) for index in range(len(chunks))]
    assert len(set(keys)) == len(keys)
    assert b"".join(chunks) == data
    assert all(len(chunk) == chunk_bytes for chunk in chunks[:-1])


def test_chunks_that_fit_but_are_another_model_are_refused() -> None:
    """Each chunk may be what the manifest lists and the whole still not be the model that it names."""
    manifest = _manifest(b"a model of mine", 4).model_copy(update={"digest": digest_of(b"another")})
    assembly = Assembly(manifest)
    for index, chunk in enumerate(split(b"a model of mine", 4)):
        assembly.add(index, chunk)
    with pytest.raises(ModelError, match="artifact_digest"):
        assembly.bytes()
    with pytest.raises(ModelError, match="artifact_chunk"):
        assembly.add(99, b"")
