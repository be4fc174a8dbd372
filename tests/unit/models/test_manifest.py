"""Manifests: what is refused before anything is fetched, and the way to JSON and back."""

from typing import Any

import numpy as np
import pytest

from freshet.models.artifact import CHUNK_BYTES
from freshet.models.contract import Contract, Limits
from freshet.models.manifest import check_manifest, golden_rows, manifest_from_json, manifest_to_json
from freshet.models.model_error import ModelError
from support.models import CLASSES, CONTRACT, FEATURES, ROWS, linear, linear_scores, manifest_of


def test_a_good_manifest_has_no_problem() -> None:
    """A manifest for the pipeline passes, with a subset of its features in any order too."""
    assert check_manifest(manifest_of(linear()), CONTRACT) == []
    wider = Contract(("new", *reversed(FEATURES)), CLASSES)
    assert check_manifest(manifest_of(linear()), wider) == []


def test_golden_rows_come_back_as_they_were() -> None:
    """Golden rows are the exact float32 numbers that were packed, NaN included."""
    rows = ROWS.copy()
    rows[0, 0] = np.nan
    features, scores = golden_rows(manifest_of(linear(), golden_features=rows))
    np.testing.assert_array_equal(features, rows)
    np.testing.assert_array_equal(scores, linear_scores(ROWS))


@pytest.mark.parametrize(
    ("lie", "about"),
    [
        ({"size_bytes": 2**40}, "exceed the limit"),
        ({"chunk_bytes": 1, "chunk_digests": ("0" * 64,) * len(linear())}, "not allowed"),
        ({"chunk_digests": ()}, "0 chunks are listed"),
        ({"chunk_digests": ("../" + "0" * 61,)}, "lower-case hex"),
        ({"inputs": ("amount", "age", "hour", "shoe_size")}, "'shoe_size'"),
        ({"inputs": ("amount", "amount", "hour", "age")}, "name a feature twice"),
        ({"required": ("amount", "shoe_size")}, "none of its inputs"),
        ({"required": ("amount", "amount")}, "requires a feature twice"),
        ({"classes": ("fraud", "legit")}, "in this order"),
        ({"golden": {"rows": 10**6, "features": b"", "scores": b""}}, "golden rows are more"),
        ({"golden": {"rows": 2, "features": b"\0" * 32, "scores": b"\0" * 15}}, "2 × 2 float32"),
        ({"golden": {"rows": 1, "features": b"\0" * 16, "scores": b"\xff" * 8}}, "not all finite"),
        ({"lineage": {"note": "x" * 10**6}}, "longer than"),
    ],
)
def test_every_lie_is_named(lie: dict[str, Any], about: str) -> None:
    """A manifest that breaks a limit or the contract is refused with a sentence about it, without any model bytes."""
    manifest = manifest_of(linear())
    lying = type(manifest).model_validate({**manifest.model_dump(), **lie})
    assert about in " ".join(check_manifest(lying, CONTRACT))


def test_json_and_back() -> None:
    """JSON carries a manifest losslessly and always in the same words; anything else is an error, never a crash."""
    manifest = manifest_of(linear(), lineage={"b": "2", "a": "é"}, metrics={"auc": 0.9})
    text = manifest_to_json(manifest)
    assert manifest_from_json(text) == manifest
    assert manifest_to_json(manifest_from_json(text)) == text
    for bad in ("", "[]", "{}", "[" * 10**5, text.replace('"rows": 16', '"rows": 0'), text.replace("fraud", "\\ud800")):
        with pytest.raises(ModelError, match="manifest_invalid"):
            manifest_from_json(bad)


def test_limits_of_a_pipeline_are_taken_over() -> None:
    """What a pipeline chooses replaces our defaults; a chunk fits a manifest's bounds."""
    limits = Limits()
    assert limits.min_chunk_bytes <= CHUNK_BYTES <= limits.max_chunk_bytes
