"""A model is compared with its original on values that the pipeline's features can have, and on no others."""

from typing import Any

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier

from freshet.features.transform import Domain
from freshet.models.hard_rows import possible
from freshet.models.model_error import ModelError
from freshet.models.packing import pack
from freshet.pipeline import PipelineSpec

SPEC = PipelineSpec.parse("""
pipeline: shop
entity: who
event_id: id
event_time: at
features:
  version: 1
  columns:
    - {kind: field, of: amount}
    - {kind: one_hot, of: country, vocabulary: [a, b]}
    - {kind: field, of: items}
target: {classes: ['no', 'yes']}
""")
_DRAW = np.random.default_rng(0)
_COUNTRY = _DRAW.integers(0, 3, 400)
ROWS = np.stack(
    [_DRAW.normal(50, 9, 400), _COUNTRY == 0, _COUNTRY == 1, _DRAW.integers(1, 5, 400)], axis=1, dtype=np.float32
)
TRUTH = np.where((ROWS[:, 0] > 50) ^ (_COUNTRY == 1) ^ (ROWS[:, 3] == 2), "yes", "no")


def _encoded(column: int, **options: Any) -> Any:
    encoder = make_column_transformer((OneHotEncoder(**options), [column]), remainder="passthrough")
    return make_pipeline(encoder, LogisticRegression(max_iter=1000)).fit(ROWS, TRUTH)


@pytest.mark.parametrize("options", [{}, {"handle_unknown": "ignore"}, {"sparse_output": False}])
def test_an_encoder_of_zeros_and_ones_is_not_asked_for_anything_else(options: dict[str, Any]) -> None:
    """The pipeline's `one_hot` makes no -1, no 0.7 and no blank: the encoder's answer to them is of no account."""
    packed = pack(_encoded(1, **options), ROWS, SPEC)
    assert packed.parity is not None
    assert packed.parity.max_gap < 1e-5
    assert packed.bundle.manifest.required == ("amount", "items")


def test_an_encoder_of_numbers_that_can_be_anything_is_refused_with_what_helps() -> None:
    """Its ONNX form cuts 2.7 to 2: no option of the encoder changes that, and no gap as wide is offered."""
    with pytest.raises(ModelError, match=r"let the pipeline's features encode them \(one_hot\)"):
        pack(_encoded(3), ROWS, SPEC)
    with pytest.raises(ModelError, match=r"pack_parity: .*encode them in the pipeline's features") as refused:
        pack(_encoded(3, handle_unknown="ignore"), ROWS, SPEC)
    assert "--max-gap" not in refused.value.detail


def test_both_sides_of_a_split_are_still_asked() -> None:
    """A tree's threshold of 0.5 becomes 0 on one side and 1 on the other."""
    domains = [SPEC.domains[name] for name in SPEC.feature_names]
    beside = np.array([[1e30, np.nextafter(np.float32(0.5), np.float32(to)), -1, np.nan] for to in (0, 1)], np.float32)
    np.testing.assert_array_equal(possible(beside, domains)[:, 1:3], [[0, 0], [1, 0]])
    assert possible(beside, domains)[0, 0] == np.float32(1e30)
    assert np.isnan(possible(beside, domains)[:, 3]).all()
    packed = pack(DecisionTreeClassifier(max_depth=4).fit(ROWS, TRUTH), ROWS, SPEC)
    assert packed.parity is not None
    assert packed.parity.max_gap < 1e-6


def test_transforms_say_what_their_features_can_be() -> None:
    """By the name of the feature."""
    assert SPEC.domains["country=a"] == Domain(low=0, high=1, whole=True, blank=False)
    assert SPEC.domains["amount"] == Domain()
