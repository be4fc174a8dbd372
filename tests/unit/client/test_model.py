"""A model and its sample as a notebook has them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from freshet.client import ClientError
from freshet.client.model import PackOptions, bundle_of
from freshet.models.bundle import Bundle
from freshet.models.model_error import ModelError
from support.models import FEATURES, ROWS, specification

SPEC = specification()
LABELS = np.where(ROWS[:, 0] + ROWS[:, 2] > 0, "fraud", "legit")


def packed(model: Any, sample: Any) -> Bundle:
    return bundle_of(model, sample, SPEC, PackOptions())


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
    with pytest.raises(ModelError, match=r"there is no file .*none\.joblib"):
        packed(tmp_path / "none.joblib", ROWS)
    (tmp_path / "odd.joblib").write_bytes(b"odd")
    with pytest.raises(ModelError, match=r"odd\.joblib cannot be read as a model: .* It must be a \.onnx file"):
        packed(tmp_path / "odd.joblib", ROWS)
    with pytest.raises(ModelError, match="export it to ONNX where it was trained"):
        packed(_touched(tmp_path / "net.pt"), ROWS)


def test_what_the_command_line_takes_the_client_takes_too(tmp_path: Path) -> None:
    """The columns of a model without names, the class of a label, how far scores may lie, the output of a graph."""
    model = LogisticRegression().fit(ROWS[:, [2, 0]], LABELS == "fraud")
    sample = dict(zip(FEATURES, ROWS.T, strict=True))
    options = PackOptions(columns=("hour", "amount"), labels={"True": "fraud", "False": "legit"})
    bundle = bundle_of(model, sample, SPEC, options)
    assert bundle.manifest.inputs == ("hour", "amount")
    with pytest.raises(ModelError, match=r"apart .* more than 1e-30"):
        bundle_of(model, sample, SPEC, options._replace(max_gap=1e-30))
    graph = tmp_path / "model.onnx"
    graph.write_bytes(bundle.data)
    with pytest.raises(ModelError, match="--output-name must say"):
        bundle_of(graph, ROWS[:, [2, 0]], SPEC, options._replace(output_name="nosuch"))


def _touched(path: Path) -> Path:
    path.touch()
    return path


def test_a_packed_folder_needs_no_sample(tmp_path: Path) -> None:
    """What `freshet model pack` wrote is published as it is."""
    bundle = packed(LogisticRegression().fit(ROWS, LABELS), ROWS)
    bundle.save(tmp_path / "bundle")
    assert packed(str(tmp_path / "bundle"), None) == bundle
