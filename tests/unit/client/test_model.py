"""A model and its sample as a notebook has them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from freshet.client import ClientError
from freshet.client.model import bundle_of
from freshet.models.bundle import Bundle
from support.models import FEATURES, ROWS, specification

SPEC = specification()
LABELS = np.where(ROWS[:, 0] + ROWS[:, 2] > 0, "fraud", "legit")


def packed(model: Any, sample: Any) -> Bundle:
    return bundle_of(model, sample, SPEC, labels=None, lineage=None)


def test_columns_go_by_name() -> None:
    """A frame in another order, with columns besides, gives the same model as the matrix in the features' order."""
    model = LogisticRegression().fit(ROWS, LABELS)
    named = dict(zip(FEATURES, ROWS.T, strict=True))
    shuffled = {name: named[name] for name in reversed(FEATURES)} | {"y": LABELS}
    frame, matrix = packed(model, shuffled), packed(model, ROWS)
    assert frame.data == matrix.data
    assert frame.manifest.inputs == matrix.manifest.inputs
    assert frame.manifest.golden == matrix.manifest.golden


def test_an_estimator_with_names_gets_its_own_columns() -> None:
    """Those that it was fitted with, in its order."""
    model = LogisticRegression().fit(ROWS[:, [2, 0]], LABELS)
    model.feature_names_in_ = np.array(["hour", "amount"], dtype=object)  # as after a fit on a frame
    bundle = packed(model, dict(zip(FEATURES, ROWS.T, strict=True)))
    assert bundle.manifest.inputs == ("hour", "amount")


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    """A column, the sample, or the file."""
    model = LogisticRegression().fit(ROWS, LABELS)
    with pytest.raises(ClientError, match="the sample has no column 'hour'"):
        packed(model, {name: ROWS[:, 0] for name in FEATURES if name != "hour"})
    with pytest.raises(ClientError, match="sample is missing"):
        packed(model, None)
    with pytest.raises(ClientError, match="cannot be read as a model"):
        packed(tmp_path / "none.joblib", ROWS)


def test_a_packed_folder_needs_no_sample(tmp_path: Path) -> None:
    """What `freshet model pack` wrote is published as it is."""
    bundle = packed(LogisticRegression().fit(ROWS, LABELS), ROWS)
    bundle.save(tmp_path / "bundle")
    assert packed(str(tmp_path / "bundle"), None) == bundle
