"""The folder form of a packed model."""

from pathlib import Path

import pytest

from freshet.models.bundle import Bundle
from freshet.models.model_error import ModelError
from support.models import linear, manifest_of


def test_saved_and_loaded(tmp_path: Path) -> None:
    """A bundle comes back equal from its folder."""
    bundle = Bundle(manifest_of(linear()), linear())
    bundle.save(tmp_path / "new" / "folder")
    assert Bundle.load(tmp_path / "new" / "folder") == bundle


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    """A missing file, another model's bytes or a broken manifest are named, not loaded."""
    with pytest.raises(ModelError, match="bundle_unreadable"):
        Bundle.load(tmp_path)
    Bundle(manifest_of(linear()), linear()).save(tmp_path)
    (tmp_path / "model.onnx").write_bytes(linear()[:-1] + b"?")
    with pytest.raises(ModelError, match="artifact_digest"):
        Bundle.load(tmp_path)
    (tmp_path / "manifest.json").write_text("not json")
    with pytest.raises(ModelError, match="manifest_invalid"):
        Bundle.load(tmp_path)
