"""A model's bytes outside the Python heap."""

import os
from pathlib import Path

import pytest

from freshet.models.artifact import Assembly
from freshet.models.model_file import ModelFile
from freshet.models.scorer import Scorer
from support.models import ROWS, linear, manifest_of


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("memfd", [True, False])
def test_both_kinds_of_memory_behave_alike(memfd: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no memfd, plain memory gives the same bytes, digests and sessions."""
    if not memfd:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    data = linear()
    file = ModelFile()
    file.write(5, data[5:])
    file.write(0, data[:5])
    assert file.content() == data
    assert file.digest() == manifest_of(data).digest
    assert isinstance(file.source(), str if memfd else bytes)
    scorer = Scorer.load(file, manifest_of(data))
    assert file.size_bytes == 0, "the session has its own copy, the file is closed"
    assert scorer.score(ROWS).shape == (16, 2)
    scorer.close()


def test_what_is_dropped_is_freed() -> None:
    """An assembly that nobody asked for its file leaves none open: a worker loads models for months."""
    before = _open_files()
    for _ in range(10):
        assembly = Assembly(manifest_of(linear()))
        assembly.add(0, linear())
        assert assembly.bytes() == linear()
    del assembly
    assert _open_files() == before
