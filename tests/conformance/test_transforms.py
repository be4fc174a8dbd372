"""Every feature transform that the catalogue finds, ours and installed ones, is what a transform must be."""

from typing import Any

import pytest

from freshet.pipeline import FeatureSpec
from freshet.pipeline.catalogue import transforms
from freshet.testing import check_transform

EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "field": [{"of": "$"}, {"of": "$", "default": -1.5, "name": "n"}],
    "log": [{"of": "$"}, {"of": "$", "name": "n", "since": 2}],
    "ratio": [{"of": "$", "per": "$"}, {"of": "$", "per": "$", "default": 0.25, "name": "n"}],
    "cyclic_time": [{"of": "$", "period": period} for period in ("day", "week", "year", "90s")],
    "one_hot": [
        {"of": "$", "vocabulary": ["NO", "1", "é"], "other": True},
        {"of": "$", "vocabulary": ["", "a"]},
        {"of": "$", "vocabulary": [1, -(2**63)], "name": "n"},
    ],
    "impute": [{"of": "$", "value": 0.1}],
}
"""Parameters to try for each kind; `$` stands for an event field. A new transform adds a line here."""


def test_every_transform_is_tried() -> None:
    """A transform without an example would pass this suite unseen."""
    assert set(EXAMPLES) == set(transforms().kinds())


@pytest.mark.parametrize("kind", transforms().kinds())
def test_a_transform_keeps_the_promises_of_all(kind: str) -> None:
    """Shape, bits, missing values and parameters: `check_transform` says which, and it is public."""
    check_transform(transforms().find(kind), *EXAMPLES[kind])


@pytest.mark.parametrize("kind", transforms().kinds())
def test_pipeline_yaml_names_it_by_its_kind(kind: str) -> None:
    """An entry of `features.columns` is this class with these parameters."""
    for parameters in EXAMPLES[kind]:
        entry = {key: tuple(value) if isinstance(value, list) else value for key, value in parameters.items()}
        spec = FeatureSpec.model_validate({"version": 2, "columns": ({"kind": kind, **entry},)})
        assert spec.columns == (transforms().find(kind).model_validate(entry),)
