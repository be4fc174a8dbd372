"""Columns as the door to Faust gives them."""

from freshet.avro import Strings
from freshet.drift.faust.pipeline_app import _plain


def test_two_texts_stay_two() -> None:
    """Also where one ends with a zero byte, which numpy's own text cuts off."""
    assert _plain(Strings.from_list(["a\x00", "a"])).tolist() == ["a\x00", "a"]
