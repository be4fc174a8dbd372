"""A pipeline's feature row as a whole."""

import warnings

import numpy as np

from freshet.avro import Column, Nullable
from freshet.pipeline import PipelineSpec
from freshet.pipeline.feature_row import FeatureRow

SPEC = PipelineSpec.parse("""
pipeline: p
entity: id
event_id: id
event_time: at
features:
  version: 1
  columns:
    - {kind: field, of: a}
    - {kind: cyclic_time, of: at, period: 4s}
    - {kind: cyclic_time, of: seen, period: 4s}
    - {kind: field, of: b}
    - {kind: log, of: b}
target: {kind: value}
""")
MICROS = {"type": "long", "logicalType": "timestamp-micros"}
SCHEMA = {
    "type": "record",
    "name": "E",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "at", "type": MICROS},
        {"name": "seen", "type": ["null", MICROS]},
        {"name": "a", "type": "double"},
        {"name": "b", "type": "double"},
    ],
}


def test_features_stand_in_the_order_of_the_specification() -> None:
    """Values follow `feature_names`, and timestamps in microseconds are read as the times they are."""
    columns: dict[str, Column] = {
        "at": np.array([1_000_999, -1]),
        "seen": Nullable(np.array([3_000_000, 0]), np.array([True, False])),
        "a": np.array([1.0, 2.0]),
        "b": np.array([3.0, 4.0]),
    }
    values, refusals = FeatureRow(SPEC, SCHEMA).compute(columns)
    names = ("a", "at_4s_sin", "at_4s_cos", "seen_4s_sin", "seen_4s_cos", "b", "log_b")
    assert SPEC.feature_names == names
    before_1970 = -2 * np.pi / 4000  # a microsecond before is within the millisecond before
    expected = [
        [1, 1, 0, -1, 0, 3, np.log(4)],
        [2, np.sin(before_1970), np.cos(before_1970), np.nan, np.nan, 4, np.log(5)],
    ]
    np.testing.assert_allclose(values, expected, atol=1e-6)
    assert values.dtype == np.float32
    assert refusals == []


def test_infinite_feature_refuses_its_row_once() -> None:
    """A finite double can be too large for float32; the first such feature is named, and NaN is no reason."""
    columns: dict[str, Column] = {
        "at": np.array([0, 0, 0]),
        "seen": Nullable(np.zeros(3, np.int64), np.zeros(3, np.bool_)),
        "a": np.array([1e39, 1.0, -1e39]),
        "b": np.array([1e39, 1e39, np.nan]),
    }
    _, refusals = FeatureRow(SPEC, SCHEMA).compute(columns)
    assert [(refusal.row, refusal.detail.split("'")[1]) for refusal in refusals] == [(0, "a"), (1, "b"), (2, "a")]


def test_a_signalling_nan_is_no_value_and_warns_of_nothing() -> None:
    """A producer may send these bits, and a service's log holds nothing but its own lines."""
    signalling = np.array([0x7FF0000000000001], np.uint64).view(np.float64)
    columns: dict[str, Column] = {
        "at": np.array([0]),
        "seen": Nullable(np.zeros(1, np.int64), np.zeros(1, np.bool_)),
        "a": signalling,
        "b": signalling,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values, refusals = FeatureRow(SPEC, SCHEMA).compute(columns)
    assert np.isnan(values[0, [0, -2, -1]]).all()
    assert refusals == []
