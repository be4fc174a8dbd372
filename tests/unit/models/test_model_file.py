"""A model's bytes outside the Python heap."""

import os

import pytest

from freshet.models.model_file import ModelFile
from freshet.models.scorer import Scorer
from support.models import ROWS, linear, manifest_of


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
