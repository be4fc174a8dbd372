"""What each transform makes of the values that matter."""

import math
from typing import Any

import numpy as np
import pytest

from freshet.avro import Column, Enum, Nullable, Strings
from freshet.features.event_columns import Vocabulary
from freshet.pipeline.catalogue import transforms

NAN = math.nan
DAY_MS = 86_400_000


def nullable(values: Column, *valid: bool) -> Nullable:
    """A column with nulls where `valid` is false."""
    return Nullable(values, np.array(valid))


def floats(*values: float) -> np.ndarray[Any, Any]:
    """A double column."""
    return np.array(values)


@pytest.mark.parametrize(
    ("kind", "parameters", "columns", "rows"),
    [
        ("field", {}, {"x": floats(1.5, -0.0, 1e39, NAN)}, [[1.5], [-0.0], [math.inf], [NAN]]),
        ("field", {}, {"x": np.array([True, False])}, [[1], [0]]),
        ("field", {}, {"x": nullable(np.array([7, 0]), True, False)}, [[7], [NAN]]),
        ("field", {"default": -1.0}, {"x": nullable(floats(NAN, 0), True, False)}, [[NAN], [-1]]),
        ("impute", {"value": -1.0}, {"x": nullable(floats(NAN, 0, 3), True, False, True)}, [[-1], [-1], [3]]),
        ("log", {}, {"x": floats(0, math.e - 1, 1 - math.e, NAN)}, [[0], [1], [-1], [NAN]]),
        ("ratio", {"per": "y"}, {"x": floats(3, 0, 3), "y": np.array([2, 0, 0])}, [[1.5], [NAN], [NAN]]),
        ("ratio", {"per": "y", "default": 9.0}, {"x": floats(3, NAN), "y": floats(-0.0, 0)}, [[9], [NAN]]),
        ("ratio", {"per": "y", "default": 9.0}, {"x": nullable(floats(0), False), "y": floats(0)}, [[NAN]]),
        (
            "one_hot",
            {"vocabulary": ("a", "é")},
            {"x": Strings.from_list(["é", "a", "b", ""])},
            [[0, 1], [1, 0], [0, 0], [0, 0]],
        ),
        (
            "one_hot",
            {"vocabulary": (3, 1), "other": True},
            {"x": nullable(np.array([1, 2, 3]), True, True, False)},
            [[0, 1, 0], [0, 0, 1], [0, 0, 0]],
        ),
        (
            "one_hot",
            {"vocabulary": ("B",), "other": True},
            {"x": Enum(np.array([0, 1], np.int32), ("A", "B"))},
            [[0, 1], [1, 0]],
        ),
        (
            "cyclic_time",
            {"period": "day"},
            {"x": np.array([0, DAY_MS // 4, -DAY_MS // 4, 2**62 // DAY_MS * DAY_MS])},
            [[0, 1], [1, 0], [-1, 0], [0, 1]],
        ),
        ("cyclic_time", {"period": "4s"}, {"x": nullable(np.array([1000, 0]), True, False)}, [[1, 0], [NAN, NAN]]),
    ],
)
def test_value(kind: str, parameters: dict[str, Any], columns: dict[str, Column], rows: list[list[float]]) -> None:
    """Null, NaN, zero and the ends of the range are handled as documented."""
    made = transforms().find(kind).model_validate({"of": "x", **parameters}).compute(columns)
    np.testing.assert_allclose(made, np.array(rows, np.float32), atol=1e-7)


def test_negative_zero_keeps_its_sign() -> None:
    """A transform that is odd stays so at 0: 1/x in a model's graph must not jump between infinities."""
    for kind in ("field", "log"):
        transform = transforms().find(kind).model_validate({"of": "x"})
        assert np.signbit(transform.compute({"x": floats(-0.0)}))


def test_text_is_found_byte_for_byte() -> None:
    """Neither a prefix, nor trailing zero bytes, nor another normal form of the same letters is the same value."""
    known = Vocabulary(["", "a", "a\0", "ab", "é", "x" * 300])
    column = Strings.from_list(
        ["", "a", "a\0", "a\0\0", "ab", "abc", "é", "e\N{COMBINING ACUTE ACCENT}", "x" * 300, "\0"]
    )
    assert known.find(column).tolist() == [0, 1, 2, -1, 3, -1, 4, -1, 5, -1]


def test_whole_numbers_are_found_exactly() -> None:
    """Neighbours beyond 2⁵³ are different values."""
    known = Vocabulary([2**53 + 1, -5, 0])
    assert known.find(np.array([2**53, 2**53 + 1, 0, -5])).tolist() == [-1, 0, 2, 1]
    assert known.find(nullable(np.array([0, 0]), True, False)).tolist() == [2, -1]
